//! What comes from outside: messages of leads, and leads from forms.

use std::collections::BTreeMap;

use coachbot_common::id::{Uuid, WorkspaceId, new_id};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tracing::instrument;

use super::conversations::{self, Standing};
use super::leads::{self, Known};
use super::messages::{Begin, Outgoing, insert_inbound, insert_outgoing};
use super::settings::settings_of;
use super::tx::{Tx, on, rows};
use super::workspaces::{Workspace, hold_workspace};
use super::{Store, StoreError, runs};
use crate::conversation::{Channel, ConversationId, WINDOW};
use crate::intent::{Payload, Purpose};
use crate::keyword::Keyword;
use crate::lead::{Address, LeadId, Source, first_name};
use crate::settings::Settings;

/// What a lead who opted out is told, once.
const STOP_CONFIRMATION: &str = "You will get no more messages from us. Reply START to get them again.";
/// What a lead who came back is told, once.
const START_CONFIRMATION: &str = "You will get our messages again. Reply STOP at any time to end them.";

/// A message of a lead.
#[derive(Clone)]
pub struct Inbound {
    /// Of which workspace.
    pub workspace: WorkspaceId,
    /// The provider's id: it is taken once.
    pub provider_message_id: String,
    /// From where, and where to answer.
    pub from: Address,
    /// The provider's id of the person.
    pub external_user_id: Option<String>,
    /// What they call themselves.
    pub profile_name: Option<String>,
    /// What it says, with placeholders for what was attached.
    pub text: String,
    /// What the whole message asks for.
    pub keyword: Option<Keyword>,
    /// When it came.
    pub received_at: Timestamp,
    /// W3C trace context.
    pub traceparent: Option<String>,
}

/// A lead from a form or the API.
#[derive(Clone)]
pub struct NewLead {
    /// Of which workspace.
    pub workspace: WorkspaceId,
    /// The caller's id: it is taken once.
    pub submission_id: String,
    /// Where it came from.
    pub source: Source,
    /// As it was given.
    pub name: String,
    /// E.164.
    pub phone: Option<String>,
    /// As it was given.
    pub email: Option<String>,
    /// What was asked besides.
    pub details: Value,
    /// When it came.
    pub received_at: Timestamp,
    /// W3C trace context.
    pub traceparent: Option<String>,
}

/// A lead that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IngestedLead {
    /// The new one, or the one with the same phone or e-mail.
    pub lead: LeadId,
}

impl Store {
    /// Takes a lead's message, once: finds or makes the lead and the conversation,
    /// obeys STOP and START, and schedules an answer.
    ///
    /// # Errors
    /// [`StoreError::NoWorkspace`], or when the database cannot.
    #[instrument(name = "db.message.ingest", skip_all, fields(workspace = %inbound.workspace))]
    pub async fn ingest_message(
        &self,
        inbound: &Inbound,
        now: Timestamp,
    ) -> Result<(LeadId, ConversationId), StoreError> {
        let mut tx = self.begin().await?;
        let outcome = ingest_message(&mut tx, inbound, now).await;
        tx.end(outcome).await
    }

    /// Takes a lead, once, and writes to it first where that can be done.
    ///
    /// # Errors
    /// [`StoreError::NoWorkspace`], or when the database cannot.
    #[instrument(name = "db.lead.ingest", skip_all, fields(workspace = %new.workspace))]
    pub async fn ingest_lead(&self, new: &NewLead, now: Timestamp) -> Result<IngestedLead, StoreError> {
        let mut tx = self.begin().await?;
        let outcome = ingest_lead(&mut tx, new, now).await;
        tx.end(outcome).await.map(|lead| IngestedLead { lead })
    }
}

async fn ingest_message(
    tx: &mut Tx,
    inbound: &Inbound,
    now: Timestamp,
) -> Result<(LeadId, ConversationId), StoreError> {
    let workspace = inbound.workspace;
    hold_workspace(tx, workspace).await?;
    if let Some(seen) = seen_message(tx, workspace, &inbound.provider_message_id).await? {
        return Ok(seen);
    }
    let lead = writer(tx, inbound, now).await?;
    let open = conversations::lock_open(tx, workspace, lead.id, now).await?;
    let mut standing = match open {
        Some(standing) => standing,
        None => conversations::open(tx, workspace, lead.id, Channel::Whatsapp, now).await?,
    };
    standing.turn += 1;
    let window = inbound.received_at + WINDOW;
    standing.window_closes_at = Some(standing.window_closes_at.map_or(window, |closes| closes.max(window)));
    insert_inbound(tx, &mut standing, &inbound.provider_message_id, &inbound.text, inbound.received_at)
        .await?;
    match inbound.keyword {
        Some(Keyword::Stop) if !lead.opted_out => {
            leads::opt_out(tx, workspace, lead.id).await?;
            confirm(tx, &mut standing, Purpose::Stop, inbound, now).await?;
        }
        Some(Keyword::Start) if lead.opted_out => {
            leads::opt_in(tx, workspace, lead.id).await?;
            confirm(tx, &mut standing, Purpose::Start, inbound, now).await?;
        }
        _ if lead.opted_out => {}
        // STOP is obeyed before any model, each time.
        Some(Keyword::Stop) => {}
        _ if standing.is_the_bots() => {
            let settings = settings_of(tx, workspace).await?;
            let due_at = inbound.received_at + debounce(&settings);
            runs::schedule(tx, &standing, due_at, inbound.traceparent.as_deref(), now).await?;
        }
        _ => {}
    }
    conversations::save(tx, &standing, now).await?;
    Ok((lead.id, standing.conversation))
}

pub(super) fn debounce(settings: &Settings) -> SignedDuration {
    SignedDuration::from_millis(i64::from(settings.debounce_milliseconds))
}

async fn seen_message(
    tx: &mut Tx,
    workspace: WorkspaceId,
    provider_message_id: &str,
) -> Result<Option<(LeadId, ConversationId)>, StoreError> {
    let seen: Option<(Uuid, Uuid)> = on!(tx, |it| {
        sqlx::query_as(
            "SELECT c.lead_id, c.conversation_id
             FROM messages m
             JOIN conversations c ON c.workspace_id = m.workspace_id AND c.conversation_id = m.conversation_id
             WHERE m.workspace_id = $1 AND m.provider_message_id = $2 AND NOT m.outbound",
        )
        .bind(workspace.as_uuid())
        .bind(provider_message_id)
        .fetch_optional(it)
        .await
    })?;
    Ok(seen.map(|(lead, conversation)| (LeadId::from_uuid(lead), ConversationId::from_uuid(conversation))))
}

/// The lead who wrote: found by number or by the provider's id of the person, the
/// two merged when one message shows both, or made.
async fn writer(tx: &mut Tx, inbound: &Inbound, now: Timestamp) -> Result<Known, StoreError> {
    let workspace = inbound.workspace;
    let phone = inbound.from.phone();
    let external_id = inbound.from.external_id().or(inbound.external_user_id.as_deref());
    let by_phone = match phone {
        Some(phone) => leads::by_phone(tx, workspace, phone).await?,
        None => None,
    };
    let by_id = match external_id {
        Some(id) => leads::by_external_id(tx, workspace, id).await?,
        None => None,
    };
    let name = inbound.profile_name.clone().unwrap_or_default();
    let mut lead = match (by_phone, by_id) {
        (None, None) => {
            let known = Known {
                id: LeadId::from_uuid(new_id(now)),
                name,
                phone: phone.map(str::to_owned),
                email: None,
                external_id: external_id.map(str::to_owned),
                address: Some(inbound.from.as_str().to_owned()),
                opted_out: false,
                wrote: true,
            };
            leads::insert(
                tx,
                workspace,
                &known,
                Source::Whatsapp,
                &Value::Object(serde_json::Map::new()),
                now,
            )
            .await?;
            return Ok(known);
        }
        (Some(mut lead), Some(other)) if lead.id != other.id => {
            leads::merge(tx, workspace, &other, &mut lead).await?;
            lead
        }
        (Some(lead), _) | (None, Some(lead)) => lead,
    };
    if lead.name.is_empty() {
        lead.name = name;
    }
    // The person's id changes with the number: what came last holds.
    lead.phone = phone.map(str::to_owned).or(lead.phone);
    lead.external_id = external_id.map(str::to_owned).or(lead.external_id);
    lead.address = Some(inbound.from.as_str().to_owned());
    lead.wrote = true;
    leads::update(tx, workspace, &lead).await?;
    Ok(lead)
}

async fn confirm(
    tx: &mut Tx,
    standing: &mut Standing,
    purpose: Purpose,
    inbound: &Inbound,
    now: Timestamp,
) -> Result<(), StoreError> {
    let text = if purpose == Purpose::Stop { STOP_CONFIRMATION } else { START_CONFIRMATION };
    let payload = Payload::Text { to: inbound.from.as_str().to_owned(), body: text.to_owned() };
    let traceparent = inbound.traceparent.as_deref();
    let outgoing =
        Outgoing { purpose, text, payload, run: None, turn: None, traceparent, begin: Begin::Planned };
    insert_outgoing(tx, standing, outgoing, now).await?;
    Ok(())
}

async fn ingest_lead(tx: &mut Tx, new: &NewLead, now: Timestamp) -> Result<LeadId, StoreError> {
    let facts = hold_workspace(tx, new.workspace).await?;
    let seen: Option<Uuid> = on!(tx, |it| {
        sqlx::query_scalar("SELECT lead_id FROM submissions WHERE workspace_id = $1 AND submission_id = $2")
            .bind(new.workspace.as_uuid())
            .bind(new.submission_id.as_str())
            .fetch_optional(it)
            .await
    })?;
    if let Some(lead) = seen {
        return Ok(LeadId::from_uuid(lead));
    }
    let lead = submitter(tx, new, now).await?;
    rows!(
        tx,
        sqlx::query("INSERT INTO submissions (workspace_id, submission_id, lead_id) VALUES ($1, $2, $3)")
            .bind(new.workspace.as_uuid())
            .bind(new.submission_id.as_str())
            .bind(lead.id.as_uuid())
    )?;
    let writes_first = facts.channel == Channel::Whatsapp && !lead.opted_out;
    if let Some(address) = lead.address.as_deref().filter(|_| writes_first) {
        first_touch(tx, new, &facts, &lead, address, now).await?;
    }
    Ok(lead.id)
}

/// The lead of a submission: the one with the same phone, else with the same
/// e-mail, or a new one.
async fn submitter(tx: &mut Tx, new: &NewLead, now: Timestamp) -> Result<Known, StoreError> {
    let workspace = new.workspace;
    let mut found = None;
    if let Some(phone) = &new.phone {
        found = leads::by_phone(tx, workspace, phone).await?;
    }
    if let (None, Some(email)) = (&found, &new.email) {
        found = leads::by_email(tx, workspace, email).await?;
    }
    let address = new.phone.as_deref().map(|phone| Address::of_phone(phone).as_str().to_owned());
    let Some(mut lead) = found else {
        let known = Known {
            id: LeadId::from_uuid(new_id(now)),
            name: new.name.clone(),
            phone: new.phone.clone(),
            email: new.email.clone(),
            external_id: None,
            address,
            opted_out: false,
            wrote: false,
        };
        leads::insert(tx, workspace, &known, new.source, &new.details, now).await?;
        return Ok(known);
    };
    if !new.name.is_empty() {
        lead.name.clone_from(&new.name);
    }
    lead.email = new.email.clone().or(lead.email);
    // Whoever fills in somebody's e-mail must not get their messages: an address that the lead
    // wrote from stays.
    if !lead.wrote && new.phone.is_some() {
        lead.phone.clone_from(&new.phone);
        lead.address = address;
    }
    leads::update(tx, workspace, &lead).await?;
    leads::update_details(tx, workspace, lead.id, &new.details).await?;
    Ok(lead)
}

/// Writes to a lead who has no open conversation.
async fn first_touch(
    tx: &mut Tx,
    new: &NewLead,
    facts: &Workspace,
    lead: &Known,
    address: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    if conversations::lock_open(tx, new.workspace, lead.id, now).await?.is_some() {
        return Ok(());
    }
    let mut standing = conversations::open(tx, new.workspace, lead.id, Channel::Whatsapp, now).await?;
    let settings = settings_of(tx, new.workspace).await?;
    let to = address.to_owned();
    let first = first_name(&lead.name);
    let (text, payload) = match &settings.opening_template_sid {
        Some(sid) => {
            let variables =
                BTreeMap::from([("1".to_owned(), first.to_owned()), ("2".to_owned(), facts.name.clone())]);
            let shown = format!("Template {sid} (1: {first}, 2: {})", facts.name);
            (shown, Payload::Template { to, content_sid: sid.clone(), variables })
        }
        None => {
            let filled = fill(&settings.opening_message, first, &facts.name);
            (filled.clone(), Payload::Text { to, body: filled })
        }
    };
    let outgoing = Outgoing {
        purpose: Purpose::FirstTouch,
        text: &text,
        payload,
        run: None,
        turn: None,
        traceparent: new.traceparent.as_deref(),
        begin: Begin::Planned,
    };
    insert_outgoing(tx, &mut standing, outgoing, now).await?;
    conversations::save(tx, &standing, now).await
}

/// Fills the gaps in one go, so that a name that looks like a gap stays a name.
fn fill(message: &str, first_name: &str, workspace: &str) -> String {
    let mut filled = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(at) = rest.find('{') {
        let (before, after) = rest.split_at(at);
        filled.push_str(before);
        if let Some(more) = after.strip_prefix("{first_name}") {
            filled.push_str(first_name);
            rest = more;
        } else if let Some(more) = after.strip_prefix("{workspace}") {
            filled.push_str(workspace);
            rest = more;
        } else {
            filled.push('{');
            rest = after.get(1..).unwrap_or_default();
        }
    }
    filled.push_str(rest);
    filled.chars().take(1500).collect()
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn gaps_are_filled_once() {
        assert_eq!(
            fill("Hi {first_name} from {workspace} {x}", "{workspace}", "North"),
            "Hi {workspace} from North {x}"
        );
    }
}
