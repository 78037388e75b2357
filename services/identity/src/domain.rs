//! What identity decides, without I/O, clock or randomness: what a user, a client and an account are, which requests are well
//! formed, and who may change what about whom as far as identity can tell alone. Roles and standings are authz's to judge.

mod account;
pub mod attempts;
mod client;
mod code;
mod installation;
mod password;
mod place;
mod principal;
mod problems;
mod session;
mod text;
pub mod token;
mod totp;
mod user;

pub use account::{Account, AccountPatch, BaseCurrency, FeePayer, GrantPolicy, require_roles};
pub use client::{
    Client, ClientPatch, Key, MAX_RETIREMENT_S, NewClient, RetiringKey, Rotation, Use, judge_rotation,
};
pub use code::{RECOVERY_CODES, RecoveryHash, SecondFactor, draw_recovery_code};
pub use installation::{Environment, Installation};
pub use password::Password;
pub use place::Place;
pub use principal::{AccessPatch, NetworkChange, Principal, judge_delete, judge_update};
pub use problems::Problems;
pub use session::{MOST_SESSIONS, Session, SessionLife};
pub use text::{EffectKey, Email, Name};
pub use token::{Token, TokenHash};
pub use totp::TotpKey;
pub use user::{NewUser, SignInRecord, User, UserPatch, judge_invitation, judge_reset};
