//! Brings messages on their way, and reports it.

use super::API_VERSION;
use super::chat::{Message, Status};
use super::webhook::{Webhook, parameters, verdict};
use crate::accounts::TWILIO;
use crate::faults::{Fault, Kind};
use crate::held::{Gone, Release};
use crate::ledger::Effect;
use crate::outcome::Outcome;
use crate::providers::{Operation, Provider};
use crate::sandbox::Sandbox;

const CALLBACK: (Provider, Operation) = (Provider::Twilio, Operation::StatusCallback);

impl Sandbox {
    /// Goes on with what the outcome of a call began.
    pub(crate) fn follow(&self, outcome: &Outcome) {
        if let Some(Effect::Message { sid, .. }) = outcome.effect.as_deref() {
            self.deliver(sid.clone());
        }
    }

    /// Goes on with the messages that were under way when the sandbox stopped.
    pub(crate) fn resume(&self) {
        let waiting = self.look(|world, _| {
            let under_way = |message: &&&Message| {
                matches!(message.status, Status::Queued | Status::Sending | Status::Sent)
            };
            world.chat.all().iter().filter(under_way).map(|message| message.sid.clone()).collect::<Vec<_>>()
        });
        waiting.into_iter().for_each(|sid| self.deliver(sid));
    }

    fn deliver(&self, sid: String) {
        let sandbox = self.clone();
        self.tasks().spawn("delivery", async move {
            tokio::select! {
                () = sandbox.bring(&sid) => {}
                () = sandbox.stop().cancelled() => {}
            }
        });
    }

    async fn bring(&self, sid: &str) {
        let reports = self
            .look(|world, _| world.chat.get(sid).is_some_and(|message| message.status_callback.is_some()));
        let fault = if reports { self.faults().take(CALLBACK.0, CALLBACK.1) } else { None };
        if !self.let_pass(fault.as_ref()).await {
            return;
        }
        let kind = fault.map(|fault| fault.kind);
        let mut kept_back = Vec::new();
        while let (Some(message), _) = self.change(|world, now| world.chat.advance(sid, now)) {
            match kind {
                Some(Kind::Drop) => {}
                Some(Kind::Reorder) => kept_back.push(message),
                Some(Kind::Duplicate) => {
                    self.report(&message, kind).await;
                    self.report(&message, kind).await;
                }
                _ => self.report(&message, kind).await,
            }
        }
        for message in kept_back.iter().rev() {
            self.report(message, kind).await;
        }
    }

    /// Waits as the fault says; `false` when the message gets stuck.
    async fn let_pass(&self, fault: Option<&Fault>) -> bool {
        match fault {
            Some(fault) if fault.kind == Kind::Delay => self.pause(fault.milliseconds).await,
            Some(fault) if fault.kind == Kind::Hold => {
                return self.hold(CALLBACK, false, Gone::default()).await == Release::Answer;
            }
            _ => {}
        }
        true
    }

    /// The lead looks at the chat: what was delivered is read, and reported.
    pub(crate) async fn read_by_lead(&self, lead: &str, sender: &str) -> usize {
        let (read, _) = self.change(|world, now| world.chat.read_all(lead, sender, now));
        for message in &read {
            self.report(message, None).await;
        }
        read.len()
    }

    /// Reports the state that the message has now.
    async fn report(&self, message: &Message, fault: Option<Kind>) {
        let Some(url) = &message.status_callback else { return };
        let Some(account) = TWILIO.iter().find(|account| account.sid == message.account_sid) else {
            return;
        };
        let status = Webhook::new(account.token, url, form(message)).send(self.http()).await;
        let effect = Effect::Status { sid: message.sid.clone(), status: message.status.name().to_owned() };
        self.change(|world, now| world.ledger.write(now, CALLBACK, verdict(status), fault, Some(effect)));
    }
}

fn form(message: &Message) -> Vec<(String, String)> {
    let mut form = parameters([
        ("MessageSid", &message.sid),
        ("SmsSid", &message.sid),
        ("AccountSid", &message.account_sid),
        ("From", &message.from),
        ("To", &message.to),
        ("MessageStatus", message.status.name()),
        ("SmsStatus", message.status.name()),
        ("ChannelPrefix", "whatsapp"),
        ("ChannelInstallSid", "XE5a4db0c05a4db0c05a4db0c05a4db0c1"),
        ("ApiVersion", API_VERSION),
    ]);
    if matches!(message.status, Status::Delivered | Status::Read | Status::Undelivered) {
        form.extend(parameters([("EventType", &message.status.name().to_uppercase())]));
    }
    if let Some(code) = message.error_code {
        let text = if code == 63016 { "outside allowed window" } else { "not delivered" };
        form.extend(parameters([("ErrorCode", &code.to_string()), ("ChannelStatusMessage", text)]));
    }
    form
}
