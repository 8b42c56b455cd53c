//! Lists messages, newest first, page by page.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::chat::{Chat, Message};
use super::{API_VERSION, refuse};
use crate::accounts::TwilioAccount;
use crate::call::Asked;
use crate::faults::Kind;
use crate::outcome::Outcome;

const PARAMETERS: [&str; 8] =
    ["To", "From", "DateSent", "DateSent<", "DateSent>", "PageSize", "Page", "PageToken"];

/// Judges the request and lists.
pub fn judge(chat: &Chat, account: &TwilioAccount, asked: &Asked) -> Outcome {
    let mut query = BTreeMap::new();
    for (name, value) in &asked.query {
        if !PARAMETERS.contains(&name.as_str()) {
            let what = format!("unknown parameter {name}");
            return refuse(400, 20001, "Unknown parameters").violating(what);
        }
        query.insert(name.as_str(), value.as_str());
    }
    let wrong =
        |name: &str| refuse(400, 20001, "Invalid parameter").violating(format!("{name} is not valid"));
    let size = match query.get("PageSize").map_or(Ok(50), |value| value.parse()) {
        Ok(size) if (1..=1000).contains(&size) => size,
        _ => return wrong("PageSize"),
    };
    let Ok(page) = query.get("Page").map_or(Ok(0), |value| value.parse::<usize>()) else {
        return wrong("Page");
    };
    // A page goes on below the last message of the one before, so that new messages do not shift it.
    let below = match query.get("PageToken").map(|token| token.trim_start_matches("PA").parse::<u64>()) {
        None if page > 0 => return wrong("Page without PageToken"),
        None => u64::MAX,
        Some(Ok(below)) => below,
        Some(Err(_)) => return wrong("PageToken"),
    };
    let Some(dates) = Dates::read(&query) else { return wrong("DateSent") };

    let fits = |message: &&Message| {
        message.account_sid == account.sid
            && message.seq < below
            && query.get("To").is_none_or(|to| *to == message.to)
            && query.get("From").is_none_or(|from| *from == message.from)
            && dates.fit(message.sent)
    };
    let mut found: Vec<_> = if asked.has_fault(Kind::Stale) {
        Vec::new()
    } else {
        chat.all().into_iter().rev().filter(fits).take(size + 1).collect()
    };
    let has_more = found.len() > size;
    found.truncate(size);
    let next = found.last().filter(|_| has_more).map(|last| {
        let position = [("Page", (page + 1).to_string()), ("PageToken", format!("PA{}", last.seq))];
        uri(account, &query, size, &position)
    });
    let start = page * size;
    Outcome::accepted(
        200,
        json!({
            "messages": found.iter().map(|message| message.describe()).collect::<Vec<Value>>(),
            "page": page,
            "page_size": size,
            "start": start,
            "end": (start + found.len()).saturating_sub(1),
            "first_page_uri": uri(account, &query, size, &[("Page", "0".to_owned())]),
            "next_page_uri": next,
            "previous_page_uri": null,
            "uri": uri(account, &query, size, &[("Page", page.to_string())]),
        }),
    )
}

fn uri(
    account: &TwilioAccount,
    query: &BTreeMap<&str, &str>,
    size: usize,
    position: &[(&str, String)],
) -> String {
    let mut text = form_urlencoded::Serializer::new(String::new());
    let kept = query.iter().filter(|(name, _)| !name.starts_with("Page"));
    text.extend_pairs(kept).append_pair("PageSize", &size.to_string()).extend_pairs(position);
    format!("/{API_VERSION}/Accounts/{}/Messages.json?{}", account.sid, text.finish())
}

/// The bounds of the day on which a message was sent.
struct Dates {
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Dates {
    fn read(query: &BTreeMap<&str, &str>) -> Option<Self> {
        let bound = |name: &str, days: i64| -> Option<Option<Timestamp>> {
            let Some(text) = query.get(name) else { return Some(None) };
            if let Ok(at) = text.parse::<Timestamp>() {
                return Some(Some(at));
            }
            let day: Date = text.parse().ok()?;
            let day = day.checked_add(jiff::Span::new().days(days)).ok()?;
            Some(Some(day.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp()))
        };
        if query.contains_key("DateSent") {
            return Some(Self { from: bound("DateSent", 0)?, until: bound("DateSent", 1)? });
        }
        Some(Self { from: bound("DateSent>", 0)?, until: bound("DateSent<", 1)? })
    }

    /// A message that is not sent yet has no such day.
    fn fit(&self, sent: Option<Timestamp>) -> bool {
        match sent {
            None => self.from.is_none() && self.until.is_none(),
            Some(sent) => {
                self.from.is_none_or(|from| sent >= from) && self.until.is_none_or(|until| sent < until)
            }
        }
    }
}
