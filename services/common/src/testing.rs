//! Test harnesses: fresh databases, a clock that tests move, captured logs and
//! spans, certificates.

mod authority;
mod clock;
mod databases;
mod logs;
mod postgres;
mod spans;

pub use authority::Authority;
pub use clock::MockClock;
pub use databases::{TestDb, fresh_postgres, fresh_sqlite};
pub use logs::CapturedLogs;
pub use postgres::postgres_url;
pub use spans::{RecordedSpan, Spans, captured_spans};
#[doc(hidden)]
pub use tokio;

use std::io::{self, Write as _};

use crate::config::{Env as _, ProcessEnv};

/// Whether `COACHBOT_TEST_REQUIRE` names the thing: its absence is then a
/// failure instead of a loud skip.
#[must_use]
pub fn is_required(thing: &str) -> bool {
    ProcessEnv
        .get("COACHBOT_TEST_REQUIRE")
        .is_some_and(|list| list.split(',').any(|name| name.trim() == thing))
}

/// Says in one loud line that something was not tested.
///
/// # Panics
/// When the thing is required.
pub fn skip(thing: &str, why: &str) {
    assert!(!is_required(thing), "COACHBOT_TEST_REQUIRE names {thing}, but {why}");
    // Past the test runner, which keeps what a passing test prints to itself.
    let _ = writeln!(io::stderr(), "\n*** NOT TESTED: {thing}: {why} ***\n");
}

/// Turns cases into tests, one per engine and case.
///
/// `suite!(Store::new, MIGRATIONS, [a_case, another_case]);` where each case is
/// `async fn(store: Store)`.
#[macro_export]
macro_rules! suite {
    ($new:expr, $migrations:expr, [$($case:ident),* $(,)?]) => {
        mod sqlite {
            use super::*;

            $(
                #[test]
                fn $case() {
                    $crate::suite!(@run async {
                        let test = $crate::testing::fresh_sqlite(&$migrations).await;
                        super::$case(($new)(test.db.clone())).await;
                        test.end().await;
                    });
                }
            )*
        }

        mod postgres {
            use super::*;

            $(
                #[test]
                fn $case() {
                    $crate::suite!(@run async {
                        if let Some(test) = $crate::testing::fresh_postgres(&$migrations).await {
                            super::$case(($new)(test.db.clone())).await;
                            test.end().await;
                        }
                    });
                }
            )*
        }
    };
    (@run $future:expr) => {
        $crate::testing::tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
            .block_on($future)
    };
}
