//! Money from outside: wallets, credits of the sandbox, quotes and their execution, lists, exports and proofs, as 2.1, 2.3 and
//! 2.5 of the contract promise them.

mod amounts;
pub mod books;
mod cli;
mod live;
mod quotes;
mod repeats;
mod roles;
mod story;
mod trail;
mod wallets;

pub use amounts::digits_are_kept;
pub use repeats::the_answer_is_the_commit;
