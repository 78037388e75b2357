//! What each RPC says of itself in its proto file, read from the descriptor set: who owns it, who may call it, where it
//! stands in HTTP. Reading fails, and with it the start, when a method has no access rule or no comment, or when a rule
//! contradicts itself: deny by default, and nothing undocumented.

use beem_roles::{Role, RoleSet};
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MethodDescriptor, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Every method of the contract, in the order of their gRPC paths.
#[derive(Clone, Debug)]
pub struct Contract {
    pub pool: DescriptorPool,
    methods: Arc<BTreeMap<String, Method>>,
}

/// One RPC and its rules.
#[derive(Clone, Debug)]
pub struct Method {
    /// `/beem.identity.v1.Clients/CreateClient`.
    pub path: String,
    /// `CreateClient`.
    pub name: String,
    /// The service that serves it and is the audience of its callers: `identity`; `*` for what every service serves.
    pub owner: String,
    pub access: Access,
    /// The gateway asks authz itself, not its cache.
    pub fresh: bool,
    /// Empty for a method that is not reachable from outside.
    pub http: Vec<HttpBinding>,
    /// The proto comment, paragraphs joined.
    pub comment: String,
    /// Only for people: a client is refused.
    pub session: bool,
    /// Only in a sandbox installation; elsewhere it has no place in HTTP. See [`Contract::of_environment`].
    pub sandbox: bool,
    /// The answer holds a secret and is stored sealed.
    pub secret: bool,
    /// The request does, too.
    pub secret_request: bool,
    pub descriptor: MethodDescriptor,
}

/// Who may call a method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Any one of these roles.
    AnyOf(RoleSet),
    /// Any authenticated caller.
    SignedIn,
    /// No caller at all.
    Public,
    /// Only these services, never from outside.
    Internal(Vec<String>),
}

/// One place of a method in HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpBinding {
    pub verb: Verb,
    /// `/platform/v1/clients/{id}`.
    pub template: String,
    pub body: Body,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    Get,
    Put,
    Post,
    Patch,
    Delete,
}

/// Where a body goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// There is none.
    None,
    /// It is the whole message.
    Whole,
    /// It is this field of the message.
    Field(String),
}

/// The contract contradicts itself, or says too little.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    #[error("the descriptor set does not decode: {0}")]
    Descriptors(#[from] prost_reflect::DescriptorError),
    #[error("{path}: {problem}")]
    Method { path: String, problem: String },
    #[error("{field}: {problem}")]
    Field { field: String, problem: String },
}

impl Verb {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

impl Method {
    /// Whether a call may change something: everything that is not a GET.
    #[must_use]
    pub fn is_write(&self) -> bool {
        self.http.iter().any(|b| b.verb != Verb::Get)
    }

    /// 201 for what creates, 200 for everything else (2.1 of the public contract).
    #[must_use]
    pub fn success_status(&self) -> u16 {
        if self.name.starts_with("Create") { 201 } else { 200 }
    }
}

impl Contract {
    /// The contract of this build.
    ///
    /// # Errors
    /// The first method that breaks a rule of this file.
    pub fn load() -> Result<Self, RuleError> {
        Self::from_bytes(crate::DESCRIPTOR_SET)
    }

    /// The contract in an encoded `FileDescriptorSet`.
    ///
    /// # Errors
    /// As [`Contract::load`].
    pub fn from_bytes(encoded: &[u8]) -> Result<Self, RuleError> {
        let pool = DescriptorPool::decode(encoded)?;
        let ours = pool.all_messages().filter(|m| m.package_name().starts_with("beem."));
        if let Some(field) = ours
            .flat_map(|m| m.fields().collect::<Vec<_>>())
            .find(|f| is_money(f) && f.kind() != Kind::String)
        {
            let field = field.full_name().to_owned();
            return Err(RuleError::Field { field, problem: "money is a string".into() });
        }
        let mut methods = BTreeMap::new();
        for service in pool.services().filter(|s| s.package_name().starts_with("beem.")) {
            let owner = text(&service.options(), &pool, "beem.access.v1.owner").unwrap_or_default();
            for method in service.methods() {
                let rule = read(&pool, &owner, method)?;
                methods.insert(rule.path.clone(), rule);
            }
        }
        Ok(Self { pool, methods: Arc::new(methods) })
    }

    /// What of it there is from outside in an environment (`sandbox` or `live`): outside a sandbox its methods are gone.
    /// For the gateway; services judge by the whole contract, and those that serve such a method refuse it themselves.
    #[must_use]
    pub fn of_environment(&self, environment: &str) -> Self {
        let kept = self.methods.iter().filter(|(_, m)| environment == "sandbox" || !m.sandbox);
        let methods = kept.map(|(path, method)| (path.clone(), method.clone())).collect();
        Self { pool: self.pool.clone(), methods: Arc::new(methods) }
    }

    /// Every method, by gRPC path.
    pub fn methods(&self) -> impl Iterator<Item = &Method> {
        self.methods.values()
    }

    /// By gRPC path: `/beem.identity.v1.Clients/CreateClient`.
    #[must_use]
    pub fn method(&self, path: &str) -> Option<&Method> {
        self.methods.get(path)
    }
}

fn read(pool: &DescriptorPool, owner: &str, descriptor: MethodDescriptor) -> Result<Method, RuleError> {
    let path = format!("/{}/{}", descriptor.parent_service().full_name(), descriptor.name());
    let fail = |problem: &str| RuleError::Method { path: path.clone(), problem: problem.into() };
    if owner.is_empty() {
        return Err(fail("its service names no owner"));
    }
    let options = descriptor.options();
    let access = message(&options, pool, "beem.access.v1.access").ok_or_else(|| fail("no access rule"))?;
    let http = message(&options, pool, "google.api.http").map(|m| bindings(&m)).unwrap_or_default();
    let rule = access_rule(&access).map_err(|problem| fail(&problem))?;
    if matches!(rule, Access::Internal(_)) != http.is_empty() {
        return Err(fail("an internal method has no HTTP rule, and every other one has"));
    }
    let comment = comment_of(&descriptor);
    if comment.is_empty() {
        return Err(fail("no comment"));
    }
    let is_secret =
        |message: prost_reflect::MessageDescriptor| flag(&message.options(), pool, "beem.access.v1.secret");
    let (secret, secret_request) = (is_secret(descriptor.output()), is_secret(descriptor.input()));
    let set = |name| field(&access, name).and_then(|v| v.as_bool()).unwrap_or(false);
    let session = set("session");
    if session && matches!(rule, Access::Public | Access::Internal(_)) {
        return Err(fail("session stands beside signed_in or any_of"));
    }
    let sandbox = set("sandbox");
    if sandbox && http.is_empty() {
        return Err(fail("sandbox is about a place in HTTP, and an internal method has none"));
    }
    Ok(Method {
        name: descriptor.name().to_owned(),
        owner: owner.to_owned(),
        access: rule,
        fresh: set("fresh"),
        session,
        sandbox,
        http,
        comment,
        secret,
        secret_request,
        path,
        descriptor,
    })
}

fn access_rule(access: &DynamicMessage) -> Result<Access, String> {
    let names: Vec<String> = strings(access, "any_of");
    let mut rules = Vec::new();
    if !names.is_empty() {
        let mut roles = RoleSet::EMPTY;
        for name in &names {
            roles = roles.with(Role::parse(name).ok_or_else(|| format!("no such role: {name}"))?);
        }
        rules.push(Access::AnyOf(roles));
    }
    if field(access, "signed_in").and_then(|v| v.as_bool()).unwrap_or(false) {
        rules.push(Access::SignedIn);
    }
    if field(access, "public").and_then(|v| v.as_bool()).unwrap_or(false) {
        rules.push(Access::Public);
    }
    if access.has_field_by_name("internal")
        && let Some(Value::Message(internal)) = field(access, "internal")
    {
        let callers = strings(&internal, "callers");
        if callers.is_empty() {
            return Err("an internal method names its callers".into());
        }
        rules.push(Access::Internal(callers));
    }
    match (rules.len(), rules.pop()) {
        (1, Some(rule)) => Ok(rule),
        _ => Err("exactly one of any_of, signed_in, public and internal".into()),
    }
}

fn bindings(rule: &DynamicMessage) -> Vec<HttpBinding> {
    let verbs = [
        ("get", Verb::Get),
        ("put", Verb::Put),
        ("post", Verb::Post),
        ("patch", Verb::Patch),
        ("delete", Verb::Delete),
    ];
    let body =
        match field(rule, "body").and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default().as_str() {
            "" => Body::None,
            "*" => Body::Whole,
            name => Body::Field(name.to_owned()),
        };
    let own = verbs.iter().find(|(name, _)| rule.has_field_by_name(name)).and_then(|(name, verb)| {
        let template = field(rule, name)?.as_str()?.to_owned();
        Some(HttpBinding { verb: *verb, template, body })
    });
    let mut all: Vec<HttpBinding> = own.into_iter().collect();
    if let Some(Value::List(more)) = field(rule, "additional_bindings") {
        all.extend(more.iter().filter_map(Value::as_message).flat_map(bindings));
    }
    all
}

fn field(message: &DynamicMessage, name: &str) -> Option<Value> {
    message.get_field_by_name(name).map(std::borrow::Cow::into_owned)
}

fn strings(message: &DynamicMessage, name: &str) -> Vec<String> {
    match field(message, name) {
        Some(Value::List(values)) => values.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}

fn extension(options: &DynamicMessage, pool: &DescriptorPool, name: &str) -> Option<Value> {
    let extension = pool.get_extension_by_name(name)?;
    options.has_extension(&extension).then(|| options.get_extension(&extension).into_owned())
}

fn message(options: &DynamicMessage, pool: &DescriptorPool, name: &str) -> Option<DynamicMessage> {
    extension(options, pool, name)?.as_message().cloned()
}

fn text(options: &DynamicMessage, pool: &DescriptorPool, name: &str) -> Option<String> {
    extension(options, pool, name)?.as_str().map(str::to_owned)
}

fn flag(options: &DynamicMessage, pool: &DescriptorPool, name: &str) -> bool {
    extension(options, pool, name).and_then(|v| v.as_bool()).unwrap_or(false)
}

/// Whether the field is a decimal amount of money: outside, its digits may stand as a JSON number, too.
#[must_use]
pub fn is_money(field: &FieldDescriptor) -> bool {
    flag(&field.options(), field.parent_file().parent_pool(), "beem.access.v1.money")
}

/// The comment before a method, its lines joined into one paragraph.
fn comment_of(method: &MethodDescriptor) -> String {
    let file = method.parent_file();
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let path = method.path();
    info.and_then(|i| i.location.iter().find(|l| l.path == path))
        .and_then(|l| l.leading_comments.as_deref())
        .map(|c| c.split_whitespace().collect::<Vec<_>>().join(" "))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_of_this_build_is_whole() {
        let contract = Contract::load().unwrap();
        let create = contract.method("/beem.identity.v1.Clients/CreateClient").unwrap();
        assert_eq!(create.access, Access::AnyOf(RoleSet::EMPTY.with(Role::ClientOperator)));
        assert!(create.fresh && create.is_write());
        assert_eq!(create.success_status(), 201);
        assert_eq!(create.http[0].template, "/platform/v1/clients");
        assert_eq!(create.http[0].body, Body::Whole);
        assert!(create.comment.starts_with("Registers a client"));
        let internal = contract.method("/beem.authz.v1.Standings/Check").unwrap();
        assert!(matches!(&internal.access, Access::Internal(c) if c.contains(&"gateway".to_owned())));
    }

    fn compiled(method_options: &str, comment: &str) -> Result<Contract, RuleError> {
        with_fields("", method_options, comment)
    }

    fn with_fields(fields: &str, method_options: &str, comment: &str) -> Result<Contract, RuleError> {
        let text = format!(
            "syntax = \"proto3\"; package beem.t.v1; import \"beem/access/v1/access.proto\";
             import \"google/api/annotations.proto\";
             message M {{ {fields} }} service S {{ option (beem.access.v1.owner) = \"t\";

             {comment}
             rpc Do(M) returns (M) {{ {method_options} }} }}"
        );
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("t.proto"), text).unwrap();
        let protos = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto");
        let mut compiler = protox::Compiler::new([dir.path().to_str().unwrap(), protos]).unwrap();
        compiler.include_imports(true).include_source_info(true).open_file("t.proto").unwrap();
        Contract::from_bytes(&compiler.encode_file_descriptor_set())
    }

    #[test]
    fn a_method_without_an_access_rule_stops_the_start() {
        let http = "option (google.api.http) = { get: \"/t\" };";
        let signed_in = "option (beem.access.v1.access) = { signed_in: true };";
        compiled(&format!("{http} {signed_in}"), "// Does.").unwrap();
        assert!(compiled(http, "// Does.").unwrap_err().to_string().contains("no access rule"));
        assert!(compiled(&format!("{http} {signed_in}"), "").unwrap_err().to_string().contains("no comment"));
        assert!(compiled(signed_in, "// Does.").is_err());
        let two = "option (beem.access.v1.access) = { signed_in: true public: true };";
        assert!(compiled(&format!("{http} {two}"), "// Does.").is_err());
        let unknown = "option (beem.access.v1.access) = { any_of: [\"root\"] };";
        assert!(compiled(&format!("{http} {unknown}"), "// Does.").is_err());
        let inside = "option (beem.access.v1.access) = { internal: { callers: [\"x\"] } };";
        assert!(compiled(&format!("{http} {inside}"), "// Does.").is_err());
        let nobodys = "option (beem.access.v1.access) = { public: true session: true };";
        assert!(compiled(&format!("{http} {nobodys}"), "// Does.").is_err());
    }

    const HTTP: &str = "option (google.api.http) = { get: \"/t\" };";

    #[test]
    fn a_sandbox_method_is_outside_in_a_sandbox_only() {
        let access = "option (beem.access.v1.access) = { signed_in: true sandbox: true };";
        let contract = compiled(&format!("{HTTP} {access}"), "// Does.").unwrap();
        assert!(contract.methods().all(|m| m.sandbox));
        assert_eq!(contract.of_environment("sandbox").methods().count(), 1);
        for other in ["live", "", "Sandbox"] {
            let there = contract.of_environment(other);
            assert_eq!(there.methods().count(), 0, "{other}");
            assert!(there.method("/beem.t.v1.S/Do").is_none());
        }
        let plain =
            compiled(&format!("{HTTP} option (beem.access.v1.access) = {{ signed_in: true }};"), "// Does.");
        assert_eq!(plain.unwrap().of_environment("live").methods().count(), 1);
        let inside = "option (beem.access.v1.access) = { internal: { callers: [\"x\"] } sandbox: true };";
        assert!(compiled(inside, "// Does.").unwrap_err().to_string().contains("sandbox"));
    }

    #[test]
    fn money_is_a_string_and_nothing_else() {
        let method = format!("{HTTP} option (beem.access.v1.access) = {{ signed_in: true }};");
        let with = |fields: &str| with_fields(fields, &method, "// Does.");
        let contract = with(
            "string amount = 1 [(beem.access.v1.money) = true]; string name = 2;
             repeated string parts = 3 [(beem.access.v1.money) = true];",
        );
        let message = contract.unwrap().pool.get_message_by_name("beem.t.v1.M").unwrap();
        let money: Vec<bool> = message.fields().map(|f| is_money(&f)).collect();
        assert_eq!(money, [true, false, true]);
        for kind in ["double", "uint64", "M"] {
            let error = with(&format!("{kind} amount = 1 [(beem.access.v1.money) = true];")).unwrap_err();
            assert_eq!(error.to_string(), "beem.t.v1.M.amount: money is a string");
        }
    }
}
