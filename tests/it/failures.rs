//! The rows of "how money is lost or doubled" that this installation can meet already, each by its number, from outside.
//! What is about money (rows 5, 8, 9, 10, 18, 19, 20 and 23, and the others once more) is in `money`.

mod fails_inside;
mod money;
mod money_under_kills;
mod one_effect;
mod seen_from_outside;
