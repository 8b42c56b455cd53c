//! Leads: found by what identifies them, merged, moved on by facts.

use coachbot_common::clock::to_micros;
use coachbot_common::id::{Uuid, WorkspaceId};
use jiff::Timestamp;
use serde_json::Value;
use sqlx::types::Json;

use super::StoreError;
use super::tx::{Tx, on, rows};
use crate::lead::{LeadId, Source, Stage};

/// What identifies a lead, as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) id: LeadId,
    pub(super) name: String,
    pub(super) phone: Option<String>,
    pub(super) email: Option<String>,
    pub(super) external_id: Option<String>,
    pub(super) address: Option<String>,
    pub(super) opted_out: bool,
    pub(super) wrote: bool,
}

type Row = (Uuid, String, Option<String>, Option<String>, Option<String>, Option<String>, bool, bool);

macro_rules! known_by {
    ($condition:literal) => {
        concat!(
            "SELECT lead_id, name, phone, email, external_id, address, opted_out, wrote FROM leads
             WHERE workspace_id = $1 AND ",
            $condition,
            " ORDER BY created_at, lead_id LIMIT 1"
        )
    };
}

pub(super) async fn by_phone(
    tx: &mut Tx,
    workspace: WorkspaceId,
    phone: &str,
) -> Result<Option<Known>, StoreError> {
    find(tx, workspace, known_by!("phone = $2"), phone).await
}

pub(super) async fn by_email(
    tx: &mut Tx,
    workspace: WorkspaceId,
    email: &str,
) -> Result<Option<Known>, StoreError> {
    find(tx, workspace, known_by!("lower(email) = lower($2)"), email).await
}

pub(super) async fn by_external_id(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: &str,
) -> Result<Option<Known>, StoreError> {
    find(tx, workspace, known_by!("external_id = $2"), id).await
}

async fn find(
    tx: &mut Tx,
    workspace: WorkspaceId,
    statement: &'static str,
    value: &str,
) -> Result<Option<Known>, StoreError> {
    let row: Option<Row> = on!(tx, |it| {
        sqlx::query_as(statement).bind(workspace.as_uuid()).bind(value).fetch_optional(it).await
    })?;
    Ok(row.map(|(id, name, phone, email, external_id, address, opted_out, wrote)| Known {
        id: LeadId::from_uuid(id),
        name,
        phone,
        email,
        external_id,
        address,
        opted_out,
        wrote,
    }))
}

pub(super) async fn insert(
    tx: &mut Tx,
    workspace: WorkspaceId,
    known: &Known,
    source: Source,
    details: &Value,
    now: Timestamp,
) -> Result<(), StoreError> {
    rows!(
        tx,
        sqlx::query(
            "INSERT INTO leads (workspace_id, lead_id, name, phone, email, external_id, address, stage, source,
                                opted_out, wrote, details, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 'new', $8, FALSE, $9, $10, $11)"
        )
        .bind(workspace.as_uuid())
        .bind(known.id.as_uuid())
        .bind(known.name.as_str())
        .bind(known.phone.as_deref())
        .bind(known.email.as_deref())
        .bind(known.external_id.as_deref())
        .bind(known.address.as_deref())
        .bind(source.word())
        .bind(known.wrote)
        .bind(Json(details))
        .bind(to_micros(now))
    )?;
    Ok(())
}

pub(super) async fn update(tx: &mut Tx, workspace: WorkspaceId, known: &Known) -> Result<(), StoreError> {
    rows!(
        tx,
        sqlx::query(
            "UPDATE leads
             SET name = $3, phone = $4, email = $5, external_id = $6, address = $7, wrote = $8
             WHERE workspace_id = $1 AND lead_id = $2"
        )
        .bind(workspace.as_uuid())
        .bind(known.id.as_uuid())
        .bind(known.name.as_str())
        .bind(known.phone.as_deref())
        .bind(known.email.as_deref())
        .bind(known.external_id.as_deref())
        .bind(known.address.as_deref())
        .bind(known.wrote)
    )?;
    Ok(())
}

/// Replaces what a form asked besides.
pub(super) async fn update_details(
    tx: &mut Tx,
    workspace: WorkspaceId,
    lead: LeadId,
    details: &Value,
) -> Result<(), StoreError> {
    rows!(
        tx,
        sqlx::query("UPDATE leads SET details = $3 WHERE workspace_id = $1 AND lead_id = $2")
            .bind(workspace.as_uuid())
            .bind(lead.as_uuid())
            .bind(Json(details))
    )?;
    Ok(())
}

/// Gives everything of one lead to another, and deletes it: one message showed
/// that they are the same person. Who opted out as either has opted out.
pub(super) async fn merge(
    tx: &mut Tx,
    workspace: WorkspaceId,
    from: &Known,
    into: &mut Known,
) -> Result<(), StoreError> {
    // One open conversation a lead: the one that moves is closed where there is another.
    rows!(
        tx,
        sqlx::query(
            "UPDATE conversations SET is_open = FALSE
             WHERE workspace_id = $1 AND lead_id = $2 AND is_open
               AND EXISTS (SELECT 1 FROM conversations other
                           WHERE other.workspace_id = $1 AND other.lead_id = $3 AND other.is_open)"
        )
        .bind(workspace.as_uuid())
        .bind(from.id.as_uuid())
        .bind(into.id.as_uuid())
    )?;
    for statement in [
        "UPDATE conversations SET lead_id = $3 WHERE workspace_id = $1 AND lead_id = $2",
        "UPDATE intents SET lead_id = $3 WHERE workspace_id = $1 AND lead_id = $2",
        "UPDATE bookings SET lead_id = $3 WHERE workspace_id = $1 AND lead_id = $2",
        "UPDATE escalations SET lead_id = $3 WHERE workspace_id = $1 AND lead_id = $2",
        "UPDATE submissions SET lead_id = $3 WHERE workspace_id = $1 AND lead_id = $2",
    ] {
        rows!(
            tx,
            sqlx::query(statement).bind(workspace.as_uuid()).bind(from.id.as_uuid()).bind(into.id.as_uuid())
        )?;
    }
    rows!(
        tx,
        sqlx::query("DELETE FROM leads WHERE workspace_id = $1 AND lead_id = $2")
            .bind(workspace.as_uuid())
            .bind(from.id.as_uuid())
    )?;
    if into.name.is_empty() {
        into.name.clone_from(&from.name);
    }
    into.phone = into.phone.take().or_else(|| from.phone.clone());
    into.email = into.email.take().or_else(|| from.email.clone());
    into.external_id = into.external_id.take().or_else(|| from.external_id.clone());
    into.wrote |= from.wrote;
    if from.opted_out && !into.opted_out {
        opt_out(tx, workspace, into.id).await?;
        into.opted_out = true;
    }
    Ok(())
}

/// Moves a lead on by a fact, never back.
pub(super) async fn advance(
    tx: &mut Tx,
    workspace: WorkspaceId,
    lead: LeadId,
    to: Stage,
) -> Result<(), StoreError> {
    let statement = match to {
        Stage::Contacted => {
            "UPDATE leads SET stage = 'contacted' WHERE workspace_id = $1 AND lead_id = $2 AND stage = 'new'"
        }
        Stage::Qualified => {
            "UPDATE leads SET stage = 'qualified'
             WHERE workspace_id = $1 AND lead_id = $2 AND stage IN ('new', 'contacted')"
        }
        Stage::Booked => {
            "UPDATE leads SET stage = 'booked'
             WHERE workspace_id = $1 AND lead_id = $2 AND stage IN ('new', 'contacted', 'qualified', 'escalated')"
        }
        // A booked lead stays one: the escalation is listed all the same.
        Stage::Escalated => {
            "UPDATE leads SET stage = 'escalated'
             WHERE workspace_id = $1 AND lead_id = $2 AND stage IN ('new', 'contacted', 'qualified')"
        }
        Stage::New | Stage::Lost | Stage::OptedOut => return Ok(()),
    };
    rows!(tx, sqlx::query(statement).bind(workspace.as_uuid()).bind(lead.as_uuid()))?;
    Ok(())
}

/// Keeps the name and the address that a consult was booked under, where none is
/// known yet.
pub(super) async fn learn(
    tx: &mut Tx,
    workspace: WorkspaceId,
    lead: LeadId,
    name: &str,
    email: Option<&str>,
) -> Result<(), StoreError> {
    rows!(
        tx,
        sqlx::query(
            "UPDATE leads SET name = CASE WHEN name = '' THEN $3 ELSE name END, email = COALESCE(email, $4)
             WHERE workspace_id = $1 AND lead_id = $2"
        )
        .bind(workspace.as_uuid())
        .bind(lead.as_uuid())
        .bind(name)
        .bind(email)
    )?;
    Ok(())
}

/// Takes a lead's word that they want no messages: nothing that is planned for
/// them happens, no run goes on, and their conversation is closed.
pub(super) async fn opt_out(tx: &mut Tx, workspace: WorkspaceId, lead: LeadId) -> Result<(), StoreError> {
    for statement in [
        "UPDATE leads SET opted_out = TRUE, stage_before = stage, stage = 'opted_out'
         WHERE workspace_id = $1 AND lead_id = $2 AND NOT opted_out",
        "UPDATE messages SET status = 'dropped'
         WHERE workspace_id = $1 AND outbound AND status = 'planned'
           AND message_id IN (SELECT intent_id FROM intents
                              WHERE workspace_id = $1 AND lead_id = $2 AND state = 'planned')",
        "UPDATE intents SET state = 'dropped'
         WHERE workspace_id = $1 AND lead_id = $2 AND state = 'planned'",
        "UPDATE runs SET state = 'done'
         WHERE workspace_id = $1 AND state <> 'done'
           AND conversation_id IN (SELECT conversation_id FROM conversations
                                   WHERE workspace_id = $1 AND lead_id = $2)",
        "UPDATE conversations SET is_open = FALSE WHERE workspace_id = $1 AND lead_id = $2 AND is_open",
    ] {
        rows!(tx, sqlx::query(statement).bind(workspace.as_uuid()).bind(lead.as_uuid()))?;
    }
    Ok(())
}

/// Takes a lead's word that they want messages again.
pub(super) async fn opt_in(tx: &mut Tx, workspace: WorkspaceId, lead: LeadId) -> Result<(), StoreError> {
    rows!(
        tx,
        sqlx::query(
            "UPDATE leads SET opted_out = FALSE, stage = COALESCE(stage_before, 'new'), stage_before = NULL
             WHERE workspace_id = $1 AND lead_id = $2 AND opted_out"
        )
        .bind(workspace.as_uuid())
        .bind(lead.as_uuid())
    )?;
    Ok(())
}
