//! `Signature-Input` and `Signature` (RFC 9421 section 4): the labels of a request, each with its parameters, covered
//! components and signature.

use crate::component::{self, Component};
use crate::error::{Refusal, SignatureError};
use crate::structure::{self, Member};
use crate::time_rules::{TimeRules, Times};
use beem_clock::Moment;
use http::HeaderMap;
use sfv::{BareItem, InnerList, ListEntry};

/// The most labels a request may carry.
pub const MAX_LABELS: usize = 8;
/// The most components one signature may cover.
pub const MAX_COMPONENTS: usize = 32;
/// The longest text parameter (`keyid`, `nonce`, `alg`, `tag`), in bytes.
pub const MAX_PARAMETER_BYTES: usize = 255;

const INPUT: &str = "signature-input";
const SIGNATURE: &str = "signature";

/// Every signature on a request, in the order of `Signature-Input`.
#[derive(Clone, Debug)]
pub struct Candidates(Vec<Candidate>);

/// One label: what it says it covers, and its signature. Nothing of it is verified yet.
#[derive(Clone)]
pub struct Candidate {
    pub(crate) label: String,
    pub(crate) components: Vec<Component>,
    pub(crate) parameters: Parameters,
    /// The inner list in its strict serialisation: the value of `@signature-params` (section 2.3).
    pub(crate) canonical: String,
    /// The inner list as it was sent.
    pub(crate) as_sent: String,
    pub(crate) signature: Vec<u8>,
}

/// The parameters of section 2.3; unknown ones stay in the serialisation and mean nothing here.
#[derive(Clone, Debug, Default)]
pub struct Parameters {
    created_s: Option<i64>,
    expires_s: Option<i64>,
    nonce: Option<String>,
    alg: Option<String>,
    keyid: Option<String>,
    tag: Option<String>,
}

impl Candidates {
    /// Reads both headers, of which each may be spread over several lines.
    ///
    /// # Errors
    /// `signature-missing` when both headers are absent; `signature-invalid` when one is, when either is malformed, when
    /// a label stands in one of them only, for labels, parameters or components that occur twice, when there are more
    /// than [`MAX_LABELS`] or [`MAX_COMPONENTS`], and when no label names a `keyid`.
    pub fn parse(headers: &HeaderMap) -> Result<Self, SignatureError> {
        let (inputs, signatures) = match (headers.contains_key(INPUT), headers.contains_key(SIGNATURE)) {
            (false, false) => {
                return Err(Refusal::Missing.because("neither Signature-Input nor Signature is there"));
            }
            (true, false) => {
                return Err(Refusal::Invalid.because("Signature-Input is there, Signature is not"));
            }
            (false, true) => {
                return Err(Refusal::Invalid.because("Signature is there, Signature-Input is not"));
            }
            (true, true) => (
                structure::combined(headers, INPUT)?.unwrap_or_default(),
                structure::combined(headers, SIGNATURE)?.unwrap_or_default(),
            ),
        };
        let inputs =
            structure::dictionary(&inputs, MAX_LABELS).map_err(|e| malformed("Signature-Input", &e))?;
        let mut signatures =
            structure::dictionary(&signatures, MAX_LABELS).map_err(|e| malformed("Signature", &e))?;
        let mut candidates = Vec::with_capacity(inputs.len());
        for input in inputs {
            let Some(at) = signatures.iter().position(|s| s.label == input.label) else {
                let detail = format!("the label {} is in Signature-Input but not in Signature", input.label);
                return Err(Refusal::Invalid.because(detail));
            };
            candidates.push(Candidate::read(input, signatures.swap_remove(at))?);
        }
        if let Some(alone) = signatures.first() {
            let detail = format!("the label {} is in Signature but not in Signature-Input", alone.label);
            return Err(Refusal::Invalid.because(detail));
        }
        if candidates.iter().all(|c: &Candidate| c.parameters.keyid.is_none()) {
            return Err(Refusal::Invalid.because("no signature names a keyid"));
        }
        Ok(Self(candidates))
    }

    /// In the order of `Signature-Input`. The first whose keyid is a known client is the one to judge.
    pub fn iter(&self) -> std::slice::Iter<'_, Candidate> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Candidates {
    type Item = &'a Candidate;
    type IntoIter = std::slice::Iter<'a, Candidate>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

fn malformed(header: &str, what: &str) -> SignatureError {
    Refusal::Invalid.because(format!("{header} is malformed: {what}"))
}

impl Candidate {
    fn read(input: Member<'_>, signature: Member<'_>) -> Result<Self, SignatureError> {
        let label = input.label;
        let ListEntry::InnerList(list) = input.value else {
            return Err(malformed("Signature-Input", &format!("{label} is not a list of components")));
        };
        let ListEntry::Item(sfv::Item { bare_item: BareItem::ByteSequence(signature), .. }) = signature.value
        else {
            return Err(malformed("Signature", &format!("{label} is not a byte sequence (:base64:)")));
        };
        if list.items.len() > MAX_COMPONENTS {
            return Err(
                Refusal::Invalid.because(format!("{label} covers more than {MAX_COMPONENTS} components"))
            );
        }
        let mut identities: Vec<String> = list.items.iter().map(component::identity).collect();
        identities.sort_unstable();
        if identities.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            return Err(Refusal::Invalid.because(format!("{label} covers a component twice")));
        }
        let components: Result<_, String> = list.items.iter().map(Component::read).collect();
        Ok(Self {
            components: components.map_err(|e| malformed("Signature-Input", &format!("{label}: {e}")))?,
            parameters: Parameters::read(&list)
                .map_err(|e| malformed("Signature-Input", &format!("{label}: {e}")))?,
            canonical: structure::inner_list_text(&list),
            as_sent: input.text.to_owned(),
            signature,
            label,
        })
    }

    /// The label both headers share.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Whose key it says it is signed with.
    #[must_use]
    pub fn keyid(&self) -> Option<&str> {
        self.parameters.keyid.as_deref()
    }

    /// When it says it was made, in Unix seconds.
    #[must_use]
    pub const fn created_s(&self) -> Option<i64> {
        self.parameters.created_s
    }

    /// Until when it says it holds, in Unix seconds.
    #[must_use]
    pub const fn expires_s(&self) -> Option<i64> {
        self.parameters.expires_s
    }

    /// Single use per client, when there is one.
    #[must_use]
    pub fn nonce(&self) -> Option<&str> {
        self.parameters.nonce.as_deref()
    }

    /// The algorithm it names.
    #[must_use]
    pub fn alg(&self) -> Option<&str> {
        self.parameters.alg.as_deref()
    }

    /// The application's tag. No rule hangs on it.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.parameters.tag.as_deref()
    }

    /// What it covers, in order.
    #[must_use]
    pub fn components(&self) -> &[Component] {
        &self.components
    }

    /// The value of `@signature-params`: the inner list with its parameters, strictly serialised.
    #[must_use]
    pub fn signature_params(&self) -> &str {
        &self.canonical
    }

    /// Judges `created`, `expires` and a covered `date` (2.2 of the public contract).
    ///
    /// # Errors
    /// `signature-expired`; `signature-invalid` when `date` is covered but not there exactly once.
    pub fn check_time(
        &self,
        now: Moment,
        rules: &TimeRules,
        headers: &HeaderMap,
    ) -> Result<(), SignatureError> {
        let times = Times {
            created_s: self.parameters.created_s,
            expires_s: self.parameters.expires_s,
            covers_date: self.components.iter().any(|c| c.name() == "date"),
        };
        rules.check(times, now, headers)
    }

    /// Until when its replay key must be remembered: after that `created` is too old anyway.
    #[must_use]
    pub fn remembered_until(&self, rules: &TimeRules) -> Moment {
        Moment::from_unix_s(self.parameters.created_s.unwrap_or(0).saturating_add(rules.past_s)).plus_ms(1)
    }
}

impl std::fmt::Debug for Candidate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Candidate({} {})", self.label, self.canonical)
    }
}

impl Parameters {
    fn read(list: &InnerList) -> Result<Self, String> {
        let mut out = Self::default();
        for (key, value) in &list.params {
            match key.as_str() {
                "created" => out.created_s = Some(integer("created", value)?),
                "expires" => out.expires_s = Some(integer("expires", value)?),
                "nonce" => out.nonce = Some(text("nonce", value)?),
                "alg" => out.alg = Some(text("alg", value)?),
                "keyid" => out.keyid = Some(text("keyid", value)?),
                "tag" => out.tag = Some(text("tag", value)?),
                _ => {}
            }
        }
        Ok(out)
    }
}

fn integer(name: &str, value: &BareItem) -> Result<i64, String> {
    value.as_integer().map(i64::from).ok_or_else(|| format!("{name} is not an integer"))
}

fn text(name: &str, value: &BareItem) -> Result<String, String> {
    let text = value.as_string().ok_or_else(|| format!("{name} is not a quoted string"))?.as_str();
    if text.len() > MAX_PARAMETER_BYTES {
        return Err(format!("{name} is longer than {MAX_PARAMETER_BYTES} bytes"));
    }
    Ok(text.to_owned())
}
