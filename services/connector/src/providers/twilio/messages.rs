//! Messages: send, list, read (<https://www.twilio.com/docs/messaging/api/message-resource>).

use coachbot_common::clock::to_wire;
use coachbot_proto::connector::v1::{DeliveryStatus, ProviderMessage, SendMessageResponse};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;
use url::Url;

use super::wire;
use crate::failure::Reason;
use crate::http::{Answer, BaseUrl, Operation, Request};
use crate::providers::call::{Caller, Failed, Nature, settled, unreadable};
use crate::providers::credentials::Twilio;
use crate::providers::is_json_object;

/// Messages of one page: a page of the longest texts stays below the limit of a
/// body.
const PAGE_SIZE: &str = "100";

/// More pages than this are not read, and the list is not told at all: one that
/// ends too early would be taken for absence.
const MOST_PAGES: usize = 20;

/// Most messages that are told.
const MOST_MESSAGES: usize = 200;

/// A message to be sent.
pub(crate) struct Outgoing {
    /// Address with its channel.
    pub to: String,
    /// What it says.
    pub content: Content,
    /// Where later states are reported to.
    pub status_callback: String,
}

/// What a message says.
pub(crate) enum Content {
    /// Free text.
    Text(String),
    /// A template, with its gaps' values as a JSON text.
    Template { content_sid: String, variables: String },
}

impl Content {
    /// A template with its gaps filled.
    pub(crate) fn template(content_sid: String, gaps: impl IntoIterator<Item = (String, String)>) -> Self {
        let gaps: serde_json::Map<String, Value> =
            gaps.into_iter().map(|(gap, value)| (gap, Value::String(value))).collect();
        Self::Template { content_sid, variables: Value::Object(gaps).to_string() }
    }
}

/// Messages to be found.
pub(crate) struct Search {
    /// Only to this address.
    pub to: Option<String>,
    /// Only made at or after this instant.
    pub created_from: Timestamp,
}

/// The messages of one account.
pub(crate) struct Messages<'a> {
    pub(in crate::providers) caller: Caller<'a>,
    pub(in crate::providers) base: &'a BaseUrl,
    pub(in crate::providers) own: &'a Twilio,
}

impl Messages<'_> {
    /// Sends one message, once.
    pub(crate) async fn send(&self, message: &Outgoing) -> Result<SendMessageResponse, Failed> {
        let mut form = vec![("To", message.to.as_str()), ("From", self.own.from.as_str())];
        match &message.content {
            Content::Text(text) => form.push(("Body", text)),
            Content::Template { content_sid, variables } => {
                form.push(("ContentSid", content_sid));
                form.push(("ContentVariables", variables));
            }
        }
        form.push(("StatusCallback", &message.status_callback));
        let request = Request::post_form(Operation::TwilioSendMessage, self.messages(), &form)
            .authorization(self.own.authorization());
        self.caller.once(Nature::Effect, request, sent).await
    }

    /// Finds messages of the workspace's own sender, newest first.
    ///
    /// To one address, the provider's filter by day is not used: it is about the
    /// day of sending, which a queued message does not have yet, and a message
    /// that is overlooked would be sent twice. To everyone, it bounds the list.
    pub(crate) async fn list(&self, search: &Search) -> Result<Vec<ProviderMessage>, Failed> {
        // The provider's times have whole seconds, rounded down.
        let from = search.created_from.as_second();
        let mut url = self.messages();
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("From", &self.own.from);
            match &search.to {
                Some(to) => query.append_pair("To", to),
                // The sign belongs to the name; the `=` behind it is the separator's.
                None => query.append_pair("DateSent>", &day(search.created_from)),
            };
            query.append_pair("PageSize", PAGE_SIZE);
        }
        let mut found = Vec::new();
        for _ in 0..MOST_PAGES {
            let request = Request::get(Operation::TwilioListMessages, url.clone())
                .authorization(self.own.authorization());
            let page = self.caller.read(request, page).await?;
            let read_back = !page.messages.is_empty() && page.messages.iter().all(|(at, _)| *at < from);
            found.extend(page.messages.into_iter().filter(|(at, _)| *at >= from));
            match page.next {
                Some(query) if !read_back => url.set_query(Some(&query)),
                _ => return Ok(newest_first(found)),
            }
        }
        Err(Failed::new(Reason::UnreadableAnswer, "too_many_pages"))
    }

    /// Reads one message.
    pub(crate) async fn fetch(&self, sid: &str) -> Result<ProviderMessage, Failed> {
        let resource = [sid, ".json"].concat();
        let url = self.base.below(&["2010-04-01", "Accounts", &self.own.account_sid, "Messages", &resource]);
        let request =
            Request::get(Operation::TwilioFetchMessage, url).authorization(self.own.authorization());
        self.caller.read(request, fetched).await
    }

    fn messages(&self) -> Url {
        self.base.below(&["2010-04-01", "Accounts", &self.own.account_sid, "Messages.json"])
    }
}

fn day(at: Timestamp) -> String {
    TimeZone::UTC.to_datetime(at).date().to_string()
}

/// A message with the second that it was made in.
type Made = (i64, ProviderMessage);

/// One page of a list, and the query of the next one.
struct Page {
    messages: Vec<Made>,
    next: Option<String>,
}

fn newest_first(mut found: Vec<Made>) -> Vec<ProviderMessage> {
    found.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    found.truncate(MOST_MESSAGES);
    found.into_iter().map(|(_, message)| message).collect()
}

fn sent(answer: &Answer) -> Result<SendMessageResponse, Failed> {
    if let Some(failed) = failure(Nature::Effect, answer, Subject::Account) {
        return Err(failed);
    }
    answer
        .json::<wire::Message<'_>>()
        .and_then(|message| {
            let status = match message.delivery() {
                // Whatever the word, the provider has taken the message.
                DeliveryStatus::Unspecified => DeliveryStatus::Queued,
                told => told,
            };
            Some(SendMessageResponse {
                provider_message_id: message.sid()?.to_owned(),
                status: status.into(),
            })
        })
        .ok_or_else(|| unreadable(Nature::Effect, answer))
}

fn page(answer: &Answer) -> Result<Page, Failed> {
    if let Some(failed) = failure(Nature::Read, answer, Subject::Account) {
        return Err(failed);
    }
    let understood = || {
        let page: wire::Page<'_> = answer.json()?;
        let messages = page.messages.iter().map(made).collect::<Option<_>>()?;
        // Only its query is taken: path and host stay our own, for the key goes along.
        let next = match page.next_page_uri.text() {
            None => None,
            Some(uri) => Some(uri.split_once('?')?.1.to_owned()),
        };
        Some(Page { messages, next })
    };
    understood().ok_or_else(|| unreadable(Nature::Read, answer))
}

fn fetched(answer: &Answer) -> Result<ProviderMessage, Failed> {
    if let Some(failed) = failure(Nature::Read, answer, Subject::Message) {
        return Err(failed);
    }
    let message = answer.json::<wire::Message<'_>>().and_then(|message| made(&message));
    message.map(|(_, message)| message).ok_or_else(|| unreadable(Nature::Read, answer))
}

fn made(message: &wire::Message<'_>) -> Option<Made> {
    let created_at = message.created_at()?;
    let told = ProviderMessage {
        provider_message_id: message.sid()?.to_owned(),
        to: message.to.text().unwrap_or_default().to_owned(),
        from: message.from.text().unwrap_or_default().to_owned(),
        body: message.body.text().unwrap_or_default().to_owned(),
        outbound: message.is_outbound(),
        status: message.delivery().into(),
        error_code: message.error_code.integer().and_then(|code| code.try_into().ok()),
        created_at: Some(to_wire(created_at)),
    };
    Some((created_at.as_second(), told))
}

/// What a 404 is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subject {
    /// The account of the path.
    Account,
    /// One message.
    Message,
}

/// What is wrong with an answer that is no success: by status first, by code
/// second, never by a text (<https://www.twilio.com/docs/api/errors>).
fn failure(nature: Nature, answer: &Answer, subject: Subject) -> Option<Failed> {
    let number = wire::code_of(answer);
    let code = || number.map(|number| number.to_string());
    if let Some(failed) = settled(nature, answer, code()) {
        return Some(failed);
    }
    if answer.status.is_success() {
        return None;
    }
    let by = |reason| Some(Failed::by(reason, answer, code()));
    match (answer.status.as_u16(), number) {
        // None of these is about the key.
        (_, Some(number)) if wire::INACTIVE.contains(&number) => by(Reason::Refused),
        (_, Some(number)) if wire::LIMITS.contains(&number) => {
            by(Reason::RateLimited).map(|failed| failed.waiting(answer))
        }
        (401, _) | (403, Some(wire::TEST_CREDENTIALS)) => by(Reason::CredentialRejected),
        _ if !is_json_object(answer) => Some(unreadable(nature, answer)),
        (403, None) => by(Reason::CredentialRejected),
        (404, _) => by(match subject {
            // The SID of the path is the user's too: it is wrong, or not visible to the token.
            Subject::Account => Reason::CredentialRejected,
            Subject::Message => Reason::NotFound,
        }),
        _ => by(Reason::Refused),
    }
}
