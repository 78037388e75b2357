//! What identity decides, without I/O, clock or randomness: what a client and an account are, which requests are well
//! formed, and who may change what about whom as far as identity can tell alone. Roles and standings are authz's to judge.

mod account;
mod client;
mod installation;
mod problems;
mod text;

pub use account::{Account, AccountPatch, BaseCurrency, FeePayer, GrantPolicy, require_roles};
pub use client::{
    Client, ClientPatch, Key, MAX_RETIREMENT_S, NetworkChange, NewClient, RetiringKey, Rotation, Use,
    judge_delete, judge_rotation, judge_update,
};
pub use installation::{Environment, Installation};
pub use problems::Problems;
pub use text::{EffectKey, Email, Name};
