//! `cargo xtask bench identity`: what strangers could learn from times, and what many principals cost.

pub async fn run() -> Result<(), String> {
    crate::enumeration::run().await?;
    crate::scale::run().await
}
