//! Lists of networks and `X-Forwarded-For`, a line each: nothing may panic, canonical texts read back, and "wider" agrees
//! with what is allowed.

#![no_main]

use beem_whitelist::{TrustedProxies, Whitelist};
use libfuzzer_sys::fuzz_target;
use std::net::IpAddr;

fuzz_target!(|text: &str| {
    let lines: Vec<&str> = text.lines().collect();
    let (list, rest) = lines.split_at(lines.len() / 2);
    let peer = IpAddr::from([127, 0, 0, 1]);
    if let Ok(trusted) = TrustedProxies::parse(list) {
        let caller = trusted.client_address(peer, rest);
        assert!(caller == peer || trusted.contains(peer), "only a trusted peer is believed");
    }
    let everybody = TrustedProxies::parse(&["0.0.0.0/0", "::/0"]).expect("a good list");
    let caller = everybody.client_address(peer, rest);
    assert_eq!(caller, beem_whitelist::normalised(caller));

    let Ok(mine) = Whitelist::parse(list) else { return };
    assert_eq!(Whitelist::parse(&mine.texts()).as_ref(), Ok(&mine), "canonical texts read back");
    assert!(!mine.is_wider_than(&mine));
    assert!(!mine.is_wider_than(&Whitelist::all()));
    let Ok(other) = Whitelist::parse(rest) else { return };
    for text in mine.texts().iter().chain(&other.texts()) {
        let first = text.split_once('/').map_or(text.as_str(), |(address, _)| address);
        let address: IpAddr = first.parse().expect("an address");
        if mine.allows(address) && !other.allows(address) {
            assert!(mine.is_wider_than(&other), "{address}");
        }
    }
});
