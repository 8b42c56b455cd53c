//! The words of every outcome, in one place, to be proofread against the
//! product's design: its two message tables are [`message`], the fix texts
//! [`fix`]. The messages are a contract word for word; the fixes are ours.

use coachbot_integrations::Provider;
use coachbot_proto::types::v1::Verdict;

use super::finding::{Caution, Finding, Missing, Sealed, Unexpected};
use crate::http::Cause;

/// The verdict of a finding.
#[must_use]
pub const fn verdict(finding: &Finding) -> Verdict {
    match finding {
        Finding::Accepted(cautions) if cautions.is_empty() => Verdict::Ok,
        Finding::Accepted(_) => Verdict::OkWithWarning,
        Finding::KeyRejected => Verdict::KeyRejected,
        Finding::KeyLacksScope => Verdict::KeyLacksScope,
        Finding::NotFound(_) => Verdict::NotFound,
        Finding::AccountInactive => Verdict::AccountInactive,
        Finding::NoQuota => Verdict::NoQuota,
        Finding::RateLimited => Verdict::RateLimited,
        Finding::ProviderDown { .. } => Verdict::ProviderDown,
        Finding::Unreachable(_) => Verdict::Network,
        Finding::OtherRegion | Finding::Unexpected { .. } => Verdict::UnexpectedAnswer,
        Finding::CannotDecrypt(_) => Verdict::CannotDecrypt,
        Finding::NotConnected => Verdict::NotConnected,
    }
}

/// The field that a finding is about, if it is about one.
#[must_use]
pub const fn field(provider: Provider, finding: &Finding) -> Option<&'static str> {
    match finding {
        Finding::KeyRejected => Some(match provider {
            Provider::Twilio => "auth_token",
            Provider::Vapi | Provider::Calcom | Provider::Openai => "api_key",
        }),
        Finding::NotFound(missing) => Some(match missing {
            Missing::Assistant(_) => "assistant_id",
            Missing::PhoneNumber(_) => "phone_number_id",
            Missing::EventType(_) => "event_type_id",
            Missing::Model(_) => "model",
        }),
        Finding::OtherRegion => Some("region"),
        Finding::Accepted(_)
        | Finding::KeyLacksScope
        | Finding::AccountInactive
        | Finding::NoQuota
        | Finding::RateLimited
        | Finding::ProviderDown { .. }
        | Finding::Unreachable(_)
        | Finding::Unexpected { .. }
        | Finding::CannotDecrypt(_)
        | Finding::NotConnected => None,
    }
}

/// The message of a finding: the pill's text.
#[must_use]
pub fn message(provider: Provider, finding: &Finding) -> String {
    let name = provider.name();
    match finding {
        Finding::Accepted(_) => format!("{name} accepted the credentials."),
        Finding::KeyRejected => match provider {
            Provider::Twilio => {
                "Twilio rejected the SID + Auth Token combination. Use the Live credentials, not test."
                    .to_owned()
            }
            Provider::Vapi => {
                "Vapi rejected the API key (401/403). Re-copy the Private key, not the public one.".to_owned()
            }
            Provider::Calcom => "Cal.com rejected the API key.".to_owned(),
            Provider::Openai => "OpenAI rejected the API key.".to_owned(),
        },
        Finding::NotFound(missing) => match missing {
            Missing::Assistant(id) => format!("Vapi can't find assistant id {id}."),
            Missing::PhoneNumber(id) => format!("Vapi can't find phone number id {id}."),
            Missing::EventType(id) => format!("Cal.com can't find event type id {id}."),
            Missing::Model(model) => format!("OpenAI can't find model {model}."),
        },
        Finding::AccountInactive => format!("{name} says this account is not active."),
        Finding::KeyLacksScope => format!("{name} accepts the key, but the key may not list models."),
        Finding::NoQuota => {
            format!("{name} accepts the key, but the account has no credit left or has reached a limit.")
        }
        Finding::RateLimited => {
            format!("{name} is limiting requests right now. The key was not judged; try again in a minute.")
        }
        Finding::ProviderDown { status } => {
            format!("{name} is having trouble (HTTP {status}). The key was not judged.")
        }
        Finding::Unreachable(cause) => {
            let cause = match cause {
                Cause::Timeout => "timeout",
                Cause::Dns => "DNS",
                Cause::Tls => "TLS",
                Cause::Refused => "refused",
                Cause::ConnectionLost => "connection lost",
            };
            format!("{name} could not be reached ({cause}).")
        }
        Finding::Unexpected { status, kind: _ } => format!(
            "{name} gave an answer that Coachbot does not understand (HTTP {status}). The key was not judged."
        ),
        Finding::OtherRegion => format!("{name} says this key belongs to another region."),
        Finding::CannotDecrypt(sealed) => match sealed {
            Sealed::KeyMissing => locked("is missing"),
            Sealed::KeyMalformed => locked("is malformed"),
            Sealed::KeyWeak => locked("is too weak"),
            Sealed::KeyMismatch => locked("is not the key they were sealed with"),
            Sealed::Damaged => "These credentials can't be read any more. Enter them again.".to_owned(),
        },
        Finding::NotConnected => format!("{name} is not connected."),
    }
}

fn locked(problem: &str) -> String {
    format!("The stored credentials can't be read: INTEGRATIONS_ENCRYPTION_KEY {problem}.")
}

/// One line that says where to look; `None` only when nothing needs a look.
#[must_use]
pub fn fix(provider: Provider, finding: &Finding) -> Option<String> {
    let name = provider.name();
    Some(match finding {
        Finding::Accepted(cautions) if cautions.is_empty() => return None,
        Finding::Accepted(cautions) => cautions.iter().map(caution_fix).collect::<Vec<_>>().join(" "),
        Finding::KeyRejected => match provider {
            Provider::Twilio => {
                "Copy Account SID and Auth Token together from the first page of Twilio's console: \
                the Live credentials, not the test ones."
            }
            Provider::Vapi => {
                "In Vapi's dashboard open API Keys and copy the Private key. An organisation that signs \
                in at dashboard.eu.vapi.ai needs the region eu here, any other an empty one."
            }
            Provider::Calcom => {
                "The key is wrong or has expired: make a new one in Cal.com under Settings → Developer \
                → API Keys."
            }
            Provider::Openai => {
                "The key was revoked or belongs to another project: copy it again, or make a new one at \
                platform.openai.com → API keys. A new key may need up to 15 minutes."
            }
        }
        .to_owned(),
        Finding::NotFound(missing) => match missing {
            Missing::Assistant(_) => {
                "In Vapi open Assistants, choose the assistant, and copy the id at the top of the \
                page."
            }
            Missing::PhoneNumber(_) => {
                "In Vapi open Phone Numbers, find the row, and copy the id from the ID column."
            }
            Missing::EventType(_) => {
                "The event type does not exist, or it belongs to another Cal.com account: copy the \
                number at the end of its address while signed in to the account of the key."
            }
            Missing::Model(_) => {
                "Choose a model that the key's project may use, or leave the model empty for the \
                default."
            }
        }
        .to_owned(),
        Finding::KeyLacksScope => {
            "The key is restricted: at platform.openai.com → API keys edit its permissions and \
            allow reading models (api.model.read) and writing responses, or make a key with all permissions."
                .to_owned()
        }
        Finding::AccountInactive => format!(
            "Sign in to {name}'s console: it says why the account is suspended or closed. The credentials need no \
             change."
        ),
        Finding::NoQuota => {
            format!(
                "Look at the billing and limits pages of the {name} account: add credit or raise the limit."
            )
        }
        Finding::RateLimited => {
            "Wait a minute, then verify again; the credentials need no change.".to_owned()
        }
        Finding::ProviderDown { .. } => {
            format!("Look at {name}'s status page and verify again later; the credentials need no change.")
        }
        Finding::Unreachable(cause) => match cause {
            Cause::Timeout => format!(
                "{name} was too slow, or a firewall drops the connection: check this server's way to the internet, \
                 then verify again."
            ),
            Cause::Dns => {
                format!("This server cannot resolve {name}'s host: check its DNS settings{}.", base(provider))
            }
            Cause::Tls => format!(
                "The secure connection failed: check this server's clock and root certificates, and that no proxy \
                 stands between it and {name}{}.",
                base(provider)
            ),
            Cause::Refused => {
                format!("Nothing accepted the connection: check this server's firewall{}.", base(provider))
            }
            Cause::ConnectionLost => format!(
                "The connection ended early: check what stands between this server and {name}, then verify again."
            ),
        },
        Finding::OtherRegion => {
            "Set the region to the one in which the key's project keeps its data (us or eu), or \
            leave it empty when the project has none."
                .to_owned()
        }
        Finding::Unexpected { kind, .. } => match kind {
            Unexpected::Unknown => format!(
                "Something other than {name} may have answered: verify again in a few minutes, then check what stands \
                 between this server and {name}{}.",
                base(provider)
            ),
            Unexpected::OurRequest => format!(
                "This is a fault of Coachbot or of its settings, not of the key: tell whoever runs this server to check \
                 {} and the logs.",
                base_variable(provider)
            ),
            Unexpected::Country => format!(
                "{name} does not serve the country that this server is in: run Coachbot in a supported one. The key \
                 needs no change."
            ),
        },
        Finding::CannotDecrypt(sealed) => match sealed {
            Sealed::KeyMissing => {
                "Whoever runs this server sets INTEGRATIONS_ENCRYPTION_KEY to the key that the \
                credentials were sealed with, and starts it again."
                    .to_owned()
            }
            Sealed::KeyMalformed => {
                "Whoever runs this server writes INTEGRATIONS_ENCRYPTION_KEY as 64 hex digits or as \
                padded base64 of 32 bytes, and starts it again."
                    .to_owned()
            }
            Sealed::KeyWeak => {
                "Whoever runs this server replaces INTEGRATIONS_ENCRYPTION_KEY by a random key, such as \
                `coachbot key generate` prints, and starts it again."
                    .to_owned()
            }
            Sealed::KeyMismatch => {
                "Whoever runs this server puts back the INTEGRATIONS_ENCRYPTION_KEY that the \
                credentials were sealed with, and starts it again."
                    .to_owned()
            }
            Sealed::Damaged => {
                format!("Under Settings → Integrations enter every field of {name} again and save.")
            }
        },
        Finding::NotConnected => {
            format!("Under Settings → Integrations enter the {name} credentials and save.")
        }
    })
}

/// The end of a fix that may lie with the operator's own setting.
fn base(provider: Provider) -> String {
    format!(", and {} if it is set", base_variable(provider))
}

const fn base_variable(provider: Provider) -> &'static str {
    match provider {
        Provider::Twilio => "COACHBOT_TWILIO_BASE_URL",
        Provider::Vapi => "COACHBOT_VAPI_BASE_URL",
        Provider::Calcom => "COACHBOT_CALCOM_BASE_URL",
        Provider::Openai => "COACHBOT_OPENAI_BASE_URL",
    }
}

/// The stable code of a warning.
#[must_use]
pub const fn caution_code(caution: &Caution) -> &'static str {
    match caution {
        Caution::TrialAccount => "TRIAL_ACCOUNT",
        Caution::NumberBlocked => "PHONE_NUMBER_BLOCKED",
        Caution::FreeNumber => "FREE_PHONE_NUMBER",
        Caution::BookingNeedsSignIn => "BOOKING_NEEDS_SIGN_IN",
        Caution::BookerEmailVerification => "EMAIL_VERIFICATION_REQUIRED",
        Caution::ManagedEventType => "MANAGED_EVENT_TYPE",
        Caution::PaidEventType => "PAYMENT_REQUIRED",
        Caution::RequiredQuestions(_) => "REQUIRED_QUESTIONS",
        Caution::NeedsConfirmation => "CONFIRMATION_REQUIRED",
        Caution::ModelNotListed(_) => "MODEL_NOT_AVAILABLE",
        Caution::ModelShutsDown { .. } => "MODEL_SHUTS_DOWN",
    }
}

/// The line of a warning.
#[must_use]
pub fn caution_message(caution: &Caution) -> String {
    match caution {
        Caution::TrialAccount => {
            "This is a trial account: Twilio delivers only to numbers verified there.".to_owned()
        }
        Caution::NumberBlocked => "Vapi has blocked this phone number: calls from it will fail.".to_owned(),
        Caution::FreeNumber => {
            "This is a free number of Vapi: it makes no calls abroad and only a few a day.".to_owned()
        }
        Caution::BookingNeedsSignIn => {
            "This event type can only be booked by someone who is signed in to Cal.com as its owner or host."
                .to_owned()
        }
        Caution::BookerEmailVerification => {
            "This event type asks for a code sent by e-mail: Coachbot cannot book it.".to_owned()
        }
        Caution::ManagedEventType => {
            "This is a managed event type, a template: Coachbot cannot book it.".to_owned()
        }
        Caution::PaidEventType => {
            "This event type costs money: a booking stays pending until it is paid on Cal.com's page."
                .to_owned()
        }
        Caution::RequiredQuestions(1) => {
            "This event type has a required question that Coachbot cannot answer.".to_owned()
        }
        Caution::RequiredQuestions(count) => {
            format!("This event type has {count} required questions that Coachbot cannot answer.")
        }
        Caution::NeedsConfirmation => {
            "This event type needs its host to confirm each booking: it stays pending until then.".to_owned()
        }
        Caution::ModelNotListed(model) => format!("The model {model} is not available to this key."),
        Caution::ModelShutsDown { model, on, past: false } => {
            format!("OpenAI shuts down the model {model} on {}.", on.strftime("%-d %B %Y"))
        }
        Caution::ModelShutsDown { model, on, past: true } => {
            format!("OpenAI was to shut down the model {model} on {}.", on.strftime("%-d %B %Y"))
        }
    }
}

const fn caution_fix(caution: &Caution) -> &'static str {
    match caution {
        Caution::TrialAccount => {
            "Upgrade the account in Twilio's console before leads write from other numbers."
        }
        Caution::NumberBlocked => "Open Vapi → Phone Numbers and see why the number is blocked.",
        Caution::FreeNumber => {
            "Import or buy a number under Vapi → Phone Numbers before you call many leads."
        }
        Caution::BookingNeedsSignIn => "Switch off the sign-in requirement in the event type's settings.",
        Caution::BookerEmailVerification => {
            "Switch off e-mail verification in the event type's Advanced tab."
        }
        Caution::ManagedEventType => "Enter the id of the event type that a member got from it.",
        Caution::PaidEventType => "Remove the price, or expect bookings to stay pending.",
        Caution::RequiredQuestions(_) => "Make the event type's own questions optional.",
        Caution::NeedsConfirmation => "Switch off Requires confirmation in the event type's Advanced tab.",
        Caution::ModelNotListed(_) => "Choose a model that the key's project may use.",
        Caution::ModelShutsDown { .. } => "Choose another model before that day.",
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn every_caution() -> Vec<Caution> {
        let shuts_down =
            |past| Caution::ModelShutsDown { model: "gpt-4o".to_owned(), on: date(2027, 1, 14), past };
        vec![
            Caution::TrialAccount,
            Caution::NumberBlocked,
            Caution::FreeNumber,
            Caution::BookingNeedsSignIn,
            Caution::BookerEmailVerification,
            Caution::ManagedEventType,
            Caution::PaidEventType,
            Caution::RequiredQuestions(1),
            Caution::RequiredQuestions(2),
            Caution::NeedsConfirmation,
            Caution::ModelNotListed("gpt-4o".to_owned()),
            shuts_down(false),
            shuts_down(true),
        ]
    }

    fn every_finding() -> Vec<Finding> {
        let id = || "id".to_owned();
        let mut findings = vec![
            Finding::Accepted(every_caution()),
            Finding::KeyRejected,
            Finding::KeyLacksScope,
            Finding::NotFound(Missing::Assistant(id())),
            Finding::NotFound(Missing::PhoneNumber(id())),
            Finding::NotFound(Missing::EventType(id())),
            Finding::NotFound(Missing::Model(id())),
            Finding::AccountInactive,
            Finding::NoQuota,
            Finding::RateLimited,
            Finding::ProviderDown { status: 503 },
            Finding::OtherRegion,
            Finding::NotConnected,
        ];
        findings.extend(Cause::ALL.map(Finding::Unreachable));
        findings.extend(
            [Unexpected::Unknown, Unexpected::OurRequest, Unexpected::Country]
                .map(|kind| Finding::Unexpected { status: 403, kind }),
        );
        findings.extend(
            [Sealed::KeyMissing, Sealed::KeyMalformed, Sealed::KeyWeak, Sealed::KeyMismatch, Sealed::Damaged]
                .map(Finding::CannotDecrypt),
        );
        findings
    }

    fn is_one_line(text: &str) -> bool {
        text.ends_with('.') && !text.contains('\n') && !text.contains("  ") && !text.contains("..")
    }

    #[test]
    fn every_text_is_one_whole_line() {
        for provider in Provider::ALL {
            for finding in every_finding() {
                let message = message(provider, &finding);
                assert!(is_one_line(&message), "{message}");
                let fix = fix(provider, &finding).unwrap();
                assert!(is_one_line(&fix), "{fix}");
            }
            assert_eq!(fix(provider, &Finding::Accepted(Vec::new())), None);
        }
        for caution in every_caution() {
            let message = caution_message(&caution);
            assert!(is_one_line(&message), "{message}");
        }
    }

    #[test]
    fn a_fix_says_where_to_look() {
        let of = |provider, finding| fix(provider, &finding).unwrap();
        let missing = |missing| of(Provider::Vapi, Finding::NotFound(missing));
        let cases: [(String, &[&str]); 7] = [
            (of(Provider::Twilio, Finding::KeyRejected), &["Live credentials", "first page", "not the test"]),
            (of(Provider::Vapi, Finding::KeyRejected), &["Vapi's dashboard", "Private key", "region eu"]),
            (missing(Missing::Assistant(String::new())), &["Assistants", "top of the page"]),
            (missing(Missing::PhoneNumber(String::new())), &["Phone Numbers", "row", "ID column"]),
            (of(Provider::Calcom, Finding::KeyRejected), &["expired", "Settings → Developer → API Keys"]),
            (missing(Missing::EventType(String::new())), &["does not exist", "another Cal.com account"]),
            (of(Provider::Openai, Finding::KeyRejected), &["revoked", "another project"]),
        ];
        for (text, parts) in cases {
            assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        }
    }

    #[test]
    fn a_shutdown_is_told_with_its_day() {
        let told: Vec<_> = every_caution().iter().map(caution_message).collect();
        assert!(told.contains(&"OpenAI shuts down the model gpt-4o on 14 January 2027.".to_owned()));
        assert!(told.contains(&"OpenAI was to shut down the model gpt-4o on 14 January 2027.".to_owned()));
    }
}
