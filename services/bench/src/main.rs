//! Prints what the product costs against the floor beneath it, in one run:
//! `cargo build --release && cargo run --release -p coachbot-bench`.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

mod calls;
mod ingest;
mod process;
mod provider;
mod sample;

/// Without logs and traces: they would be measured too.
fn main() -> anyhow::Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        calls::run().await?;
        ingest::run().await?;
        process::run().await
    })
}
