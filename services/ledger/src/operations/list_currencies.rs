//! ListCurrencies: the registry, in the order of the codes. A network of the sandbox is one only there.

use super::Operations;
use beem_money::Currency;
use beem_proto::ledger::v1 as wire;
use beem_settings::Environment;

impl Operations {
    #[must_use]
    pub fn list_currencies(&self) -> wire::ListCurrenciesResponse {
        let sandbox = self.0.environment == Environment::Sandbox;
        let content = self.0.currencies.iter().map(|currency| answer(currency, sandbox)).collect();
        wire::ListCurrenciesResponse { content }
    }
}

fn answer(currency: &Currency, sandbox: bool) -> wire::Currency {
    let networks = currency.networks.iter().filter(|network| sandbox || !network.sandbox);
    let network = |network: &beem_money::CurrencyNetwork| wire::CurrencyNetwork {
        network: network.name.clone(),
        confirmations: network.confirmations,
    };
    wire::Currency {
        code: currency.code.to_string(),
        name: currency.name.clone(),
        decimals: u32::from(currency.decimals),
        r#type: currency.kind.as_str().to_owned(),
        networks: networks.map(network).collect(),
    }
}
