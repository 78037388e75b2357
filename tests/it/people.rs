//! People, from their invitation to their end, and the record of what they did: what 2.2, 2.3 and 3.1 of the contract
//! promise, from outside.

mod codes;
mod enumeration;
mod expiry;
mod kept_out;
mod leftovers;
mod passwords;
mod raising;
mod sealing;
mod secrets;
mod sessions;
mod smtp;
mod story;
mod trail;
mod users;
mod verify_audit;
