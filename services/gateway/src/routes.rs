//! Which RPC a verb and a path mean. The table is built from the contract at the start, so that adding an RPC never
//! touches the gateway; a duplicate or a template that does not fit its request message stops the start.
//!
//! Segments are compared as they were sent: what a client signed is what is routed, and an escaped `/` (`%2F`) stays
//! inside its segment. Variables are percent-decoded later, by [`crate::transcode::decode`], so that a caller who may
//! not call at all learns nothing about their form. Places that are no RPC (`/healthz`, pages) are the caller's.

mod template;

use crate::transcode;
use beem_proto::{Contract, HttpBinding, Method, Verb};
use prost_reflect::FieldDescriptor;
use std::collections::BTreeMap;
use template::Segment;

/// Every place of the contract in HTTP.
#[derive(Debug)]
pub struct Routes {
    root: Node,
    targets: Vec<Target>,
}

/// What a verb and a path mean.
#[derive(Debug)]
pub enum Match<'r, 'p> {
    Found(Found<'r, 'p>),
    /// The path exists under these verbs only: 405 with [`allow`].
    WrongMethod(Vec<Verb>),
    Nothing,
}

/// The RPC that was found, and what its path said.
#[derive(Debug)]
pub struct Found<'r, 'p> {
    pub method: &'r Method,
    pub binding: &'r HttpBinding,
    /// In the order of the template.
    pub variables: Vec<Variable<'r, 'p>>,
}

/// A variable of the template and the segment that stood for it.
#[derive(Debug)]
pub struct Variable<'r, 'p> {
    pub field: &'r FieldDescriptor,
    /// As sent: still percent-encoded. Never empty.
    pub raw: &'p str,
}

/// The contract cannot be routed.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    #[error("{rpc}: {problem}")]
    Unfit { rpc: String, problem: String },
    #[error("{verb} {template} is declared by {first} and by {second}")]
    Twice { verb: &'static str, template: String, first: String, second: String },
}

#[derive(Debug)]
struct Target {
    method: Method,
    binding: HttpBinding,
    variables: Vec<FieldDescriptor>,
}

/// One segment deep in the tree; values are indices of targets.
#[derive(Debug, Default)]
struct Node {
    literals: BTreeMap<String, Node>,
    variable: Option<Box<Node>>,
    verbs: BTreeMap<Verb, usize>,
}

impl Routes {
    /// The routes of every method that has HTTP rules.
    ///
    /// # Errors
    /// The first template that is malformed or does not fit its message, and the first pair that would be the same.
    pub fn from_contract(contract: &Contract) -> Result<Self, RouteError> {
        let mut routes = Self { root: Node::default(), targets: Vec::new() };
        for method in contract.methods() {
            for binding in &method.http {
                routes.add(method, binding)?;
            }
        }
        Ok(routes)
    }

    fn add(&mut self, method: &Method, binding: &HttpBinding) -> Result<(), RouteError> {
        let unfit = |problem| RouteError::Unfit { rpc: method.path.clone(), problem };
        let segments = template::parse(&binding.template).map_err(unfit)?;
        let variables = template::variables(&segments, method).map_err(unfit)?;
        transcode::fits(method, binding).map_err(unfit)?;
        let mut node = &mut self.root;
        for segment in segments {
            node = match segment {
                Segment::Literal(text) => node.literals.entry(text).or_default(),
                Segment::Variable(_) => node.variable.get_or_insert_with(Box::default),
            };
        }
        if let Some(first) = node.verbs.insert(binding.verb, self.targets.len()) {
            return Err(RouteError::Twice {
                verb: binding.verb.as_str(),
                template: binding.template.clone(),
                first: self.targets.get(first).map(|t| t.method.path.clone()).unwrap_or_default(),
                second: method.path.clone(),
            });
        }
        self.targets.push(Target { method: method.clone(), binding: binding.clone(), variables });
        Ok(())
    }

    /// Finds the RPC of a verb and a path (no query, as sent). A literal segment beats a variable; HEAD is GET, whose
    /// body the caller leaves out; a trailing slash is another path.
    #[must_use]
    pub fn find<'r, 'p>(&'r self, verb: &http::Method, path: &'p str) -> Match<'r, 'p> {
        let Some(rest) = path.strip_prefix('/') else { return Match::Nothing };
        let segments: Vec<&'p str> = rest.split('/').collect();
        let mut search = Search { wanted: verb_of(verb), captured: Vec::new(), allowed: Vec::new() };
        let found = search.walk(&self.root, &segments).and_then(|index| self.targets.get(index));
        if let Some(target) = found {
            let variables = target.variables.iter().zip(search.captured);
            return Match::Found(Found {
                method: &target.method,
                binding: &target.binding,
                variables: variables.map(|(field, raw)| Variable { field, raw }).collect(),
            });
        }
        if search.allowed.is_empty() {
            return Match::Nothing;
        }
        search.allowed.sort_unstable();
        search.allowed.dedup();
        Match::WrongMethod(search.allowed)
    }
}

/// The value of `Allow` for these verbs: `GET, HEAD, POST`.
#[must_use]
pub fn allow(verbs: &[Verb]) -> String {
    let names = verbs.iter().map(|v| if *v == Verb::Get { "GET, HEAD" } else { v.as_str() });
    names.collect::<Vec<_>>().join(", ")
}

fn verb_of(method: &http::Method) -> Option<Verb> {
    match method.as_str() {
        "GET" | "HEAD" => Some(Verb::Get),
        "PUT" => Some(Verb::Put),
        "POST" => Some(Verb::Post),
        "PATCH" => Some(Verb::Patch),
        "DELETE" => Some(Verb::Delete),
        _ => None,
    }
}

/// A search in depth: literals first, then the variable, until a node has the verb. What else the path allows is noted.
struct Search<'p> {
    wanted: Option<Verb>,
    captured: Vec<&'p str>,
    allowed: Vec<Verb>,
}

impl<'p> Search<'p> {
    fn walk(&mut self, node: &Node, rest: &[&'p str]) -> Option<usize> {
        let Some((segment, rest)) = rest.split_first() else {
            self.allowed.extend(node.verbs.keys());
            return self.wanted.and_then(|v| node.verbs.get(&v).copied());
        };
        if let Some(next) = node.literals.get(*segment)
            && let Some(found) = self.walk(next, rest)
        {
            return Some(found);
        }
        let next = node.variable.as_deref().filter(|_| !segment.is_empty())?;
        self.captured.push(segment);
        let found = self.walk(next, rest);
        if found.is_none() {
            self.captured.pop();
        }
        found
    }
}
