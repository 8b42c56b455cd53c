//! When a provider may be asked again, from the headers of its answer.
//!
//! | header | whose | form |
//! | --- | --- | --- |
//! | `retry-after-ms` | `OpenAI` | milliseconds; finer, so it wins |
//! | `retry-after` | Twilio, `OpenAI`, any proxy | seconds, perhaps with decimals, or a date of HTTP |
//! | `x-ratelimit-reset-default` | Cal.com | seconds left; above 10⁹ it is a Unix time |
//! | `x-ratelimit-reset-requests`, `-tokens` | `OpenAI` | a length such as `6m0s` or `12ms`; counts where nothing remains |

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;

use super::call::Wait;
use crate::http::Answer;

/// A longer one is a mistake of somebody's.
const LONGEST: f64 = 7.0 * 24.0 * 3600.0;

/// Above this a reset is an instant and not a length.
const FIRST_UNIX_TIME: f64 = 1e9;

/// What the headers ask for.
pub(super) fn asked_for(answer: &Answer) -> Option<Wait> {
    read(|name| answer.header(name))
}

fn read<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Option<Wait> {
    let milliseconds = || number(header("retry-after-ms")?).and_then(|amount| length(amount / 1000.0));
    let after = || {
        let text = header("retry-after")?;
        number(text).and_then(length).or_else(|| date(text))
    };
    let reset = || {
        let amount = number(header("x-ratelimit-reset-default")?)?;
        if amount <= FIRST_UNIX_TIME {
            return length(amount);
        }
        #[expect(clippy::cast_possible_truncation, reason = "whole seconds are enough")]
        Timestamp::from_second(amount as i64).ok().map(Wait::Until)
    };
    let exhausted = || {
        ["requests", "tokens"]
            .into_iter()
            .filter(|kind| header(&format!("x-ratelimit-remaining-{kind}")) == Some("0"))
            .filter_map(|kind| duration(header(&format!("x-ratelimit-reset-{kind}"))?))
            .max()
            .map(Wait::For)
    };
    milliseconds().or_else(after).or_else(reset).or_else(exhausted)
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|amount: &f64| amount.is_finite() && *amount >= 0.0)
}

fn length(seconds: f64) -> Option<Wait> {
    (seconds <= LONGEST).then(|| Wait::For(Duration::from_secs_f64(seconds)))
}

fn date(text: &str) -> Option<Wait> {
    rfc2822::parse(text).ok().map(|at| Wait::Until(at.timestamp()))
}

/// `1h2m3.5s`, `12ms`.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| letter.is_ascii_alphabetic())?;
        let (amount, tail) = rest.split_at_checked(digits)?;
        let unit = tail.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(unit)?;
        let factor = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86400.0,
            _ => return None,
        };
        seconds += number(amount)? * factor;
        rest = tail;
    }
    (!text.is_empty() && seconds <= LONGEST).then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(headers: &[(&str, &'static str)]) -> Option<Wait> {
        read(|name| headers.iter().find(|(header, _)| *header == name).map(|(_, value)| *value))
    }

    const fn milliseconds(amount: u64) -> Option<Wait> {
        Some(Wait::For(Duration::from_millis(amount)))
    }

    #[test]
    fn every_form_of_every_header_is_read() {
        let at = |text: &str| Some(Wait::Until(text.parse().unwrap()));
        assert_eq!(asked(&[]), None);
        assert_eq!(asked(&[("retry-after", "20")]), milliseconds(20_000));
        assert_eq!(asked(&[("retry-after", "1.5")]), milliseconds(1500));
        assert_eq!(asked(&[("retry-after-ms", "250"), ("retry-after", "20")]), milliseconds(250));
        assert_eq!(asked(&[("retry-after", "Wed, 25 Nov 2026 12:00:30 GMT")]), at("2026-11-25T12:00:30Z"));
        assert_eq!(asked(&[("x-ratelimit-reset-default", "37")]), milliseconds(37_000));
        assert_eq!(asked(&[("x-ratelimit-reset-default", "1795608060")]), at("2026-11-25T12:01:00Z"));
        for wrong in ["soon", "-1", "NaN", "inf", "1e12", ""] {
            assert_eq!(asked(&[("retry-after", wrong)]), None, "{wrong}");
        }
    }

    #[test]
    fn of_the_rate_limits_only_the_exhausted_one_counts() {
        let some = [("x-ratelimit-remaining-requests", "3"), ("x-ratelimit-reset-requests", "6m0s")];
        assert_eq!(asked(&some), None);
        let none = [
            ("x-ratelimit-remaining-requests", "3"),
            ("x-ratelimit-reset-requests", "6m0s"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "1s12ms"),
        ];
        assert_eq!(asked(&none), milliseconds(1012));
    }

    #[test]
    fn lengths_have_units() {
        assert_eq!(duration("6m0s"), Some(Duration::from_secs(360)));
        assert_eq!(duration("1h2m3.5s"), Some(Duration::from_millis(3_723_500)));
        for wrong in ["", "5", "s", "5 s", "5w", "m5"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }
}
