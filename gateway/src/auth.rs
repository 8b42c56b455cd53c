//! Who asks: an API key or a session; and what of theirs they ask for.

use std::future::Future;

use axum::extract::{FromRequestParts, RawPathParams};
use coachbot_common::id::{self, WorkspaceId};
use coachbot_common::secret::{random_token, sha256};
use coachbot_integrations::Provider;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use jiff::SignedDuration;
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use crate::app::{App, SharedApp};
use crate::config::PublicUrl;
use crate::error::Error;
use crate::store::{Hash, UserId, Workspace};

/// How long a session lasts.
pub(crate) const SESSION: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How long a sign-in link works.
pub(crate) const SIGN_IN_LINK: SignedDuration = SignedDuration::from_mins(15);

/// How exactly the last use of a key is written down: a commit a request would
/// be dear.
const LAST_USED: SignedDuration = SignedDuration::from_mins(1);

/// The hash by which a token is stored and found.
pub(crate) fn hash_of(token: &str) -> Hash {
    sha256(token.as_bytes())
}

/// What may be shown of an API key: a public prefix and its last four characters.
pub(crate) fn hint_of(key: &SecretString) -> String {
    let key = key.expose_secret();
    let prefix = if key.starts_with("cbk_") { "cbk_" } else { "" };
    let tail = key.len().checked_sub(4).and_then(|start| key.get(start..)).unwrap_or_default();
    format!("{prefix}…{tail}")
}

/// Somebody who proved who they are.
pub(crate) trait Caller: FromRequestParts<SharedApp, Rejection = Error> + Send {
    /// Whom the request acts as.
    fn user(&self) -> UserId;
}

/// Somebody with an API key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ApiCaller(UserId);

/// Somebody with a session in a browser.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Person(UserId);

impl Caller for ApiCaller {
    fn user(&self) -> UserId {
        self.0
    }
}

impl Caller for Person {
    fn user(&self) -> UserId {
        self.0
    }
}

impl FromRequestParts<SharedApp> for ApiCaller {
    type Rejection = Error;

    fn from_request_parts(
        parts: &mut Parts,
        app: &SharedApp,
    ) -> impl Future<Output = Result<Self, Error>> + Send {
        let key = bearer(&parts.headers).map(hash_of);
        async move {
            let known = match key {
                Some(hash) => app.store.api_key_by_hash(&hash).await?,
                None => None,
            };
            let known = known.ok_or(Error::Unauthenticated)?;
            let now = app.now();
            if known.last_used_at.is_none_or(|used| now.duration_since(used) >= LAST_USED) {
                // Worth a line in the log, not a refusal.
                if let Err(error) = app.store.touch_api_key(known.id, now).await {
                    Error::from(error).log();
                }
            }
            Ok(Self(known.user))
        }
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750; the scheme in any case).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

impl FromRequestParts<SharedApp> for Person {
    type Rejection = Error;

    fn from_request_parts(
        parts: &mut Parts,
        app: &SharedApp,
    ) -> impl Future<Output = Result<Self, Error>> + Send {
        let session = session_hash(&parts.headers, &app.public_url);
        async move {
            let user = match session {
                Some(hash) => app.store.session_user(&hash, app.now()).await?,
                None => None,
            };
            user.map(Self).ok_or(Error::Unauthenticated)
        }
    }
}

/// The session that the request's cookie names.
pub(crate) fn session_hash(headers: &HeaderMap, public_url: &PublicUrl) -> Option<Hash> {
    let jar = axum_extra::extract::CookieJar::from_headers(headers);
    jar.get(cookie_name(public_url)).map(|cookie| hash_of(cookie.value()))
}

/// The prefix binds the cookie to this host and to TLS; browsers refuse it
/// without (RFC 6265bis, section 4.1.3.2).
fn cookie_name(public_url: &PublicUrl) -> &'static str {
    if public_url.is_https() { "__Host-coachbot" } else { "coachbot" }
}

/// A session's cookie; `None` ends it.
pub(crate) fn session_cookie(public_url: &PublicUrl, session: Option<&SecretString>) -> HeaderValue {
    let name = cookie_name(public_url);
    let secure = if public_url.is_https() { "; Secure" } else { "" };
    let (value, seconds) = session.map_or(("", 0), |session| (session.expose_secret(), SESSION.as_secs()));
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    let mut cookie = HeaderValue::from_str(&text).expect("a token is base64url");
    cookie.set_sensitive(true);
    cookie
}

/// Signs in by a one-time link: the new session, or `None` when the link works
/// no more.
pub(crate) async fn redeem(app: &App, token: &str) -> Result<Option<SecretString>, Error> {
    let session = random_token("");
    let now = app.now();
    let user = app
        .store
        .redeem_sign_in_link(&hash_of(token), &hash_of(session.expose_secret()), now, now + SESSION)
        .await?;
    Ok(user.map(|_| session))
}

/// Refuses a write that another site asked a browser for.
///
/// A browser says where a request comes from: `Sec-Fetch-Site`, and `Origin` on
/// every write. One that says neither, or another site, is refused.
pub(crate) fn check_same_origin(
    method: &Method,
    headers: &HeaderMap,
    public_url: &PublicUrl,
) -> Result<(), Error> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text(HeaderName::from_static("sec-fetch-site")) {
        return if matches!(site, "same-origin" | "none") { Ok(()) } else { Err(Error::CrossSite) };
    }
    let origin = text(header::ORIGIN).ok_or(Error::CrossSite)?;
    let own_host = origin
        .split_once("://")
        .zip(text(header::HOST))
        .is_some_and(|((_, from), host)| from.eq_ignore_ascii_case(host));
    if origin == public_url.origin() || own_host { Ok(()) } else { Err(Error::CrossSite) }
}

/// A workspace that the caller may see. Whoever asks for another gets the answer
/// that an id gets which was never given.
pub(crate) struct Tenant<C> {
    pub caller: C,
    pub workspace: Workspace,
}

/// A provider that the caller's workspace uses.
pub(crate) struct Target<C> {
    pub caller: C,
    pub workspace: Workspace,
    pub provider: Provider,
}

/// A parameter of the path. One that is not UTF-8 is no id of ours.
pub(crate) async fn path_param(parts: &mut Parts, name: &str) -> Option<String> {
    let params = RawPathParams::from_request_parts(parts, &()).await.ok()?;
    params.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

/// The `{id}` of the path as the caller wrote it.
pub(crate) struct PathId(pub String);

/// The `{token}` of the path.
pub(crate) struct PathToken(pub SecretString);

/// The `{lead_id}` of the path.
pub(crate) struct LeadId(pub Uuid);

/// The `{conversation_id}` of the path.
pub(crate) struct ConversationId(pub Uuid);

impl FromRequestParts<SharedApp> for LeadId {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &SharedApp) -> Result<Self, Error> {
        let id = path_param(parts, "lead_id").await.and_then(|id| id::parse(&id).ok());
        id.map(Self).ok_or(Error::NotFound("lead"))
    }
}

impl FromRequestParts<SharedApp> for ConversationId {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &SharedApp) -> Result<Self, Error> {
        let id = path_param(parts, "conversation_id").await.and_then(|id| id::parse(&id).ok());
        id.map(Self).ok_or(Error::NotFound("conversation"))
    }
}

impl FromRequestParts<SharedApp> for PathId {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &SharedApp) -> Result<Self, Error> {
        Ok(Self(path_param(parts, "id").await.unwrap_or_default()))
    }
}

impl FromRequestParts<SharedApp> for PathToken {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &SharedApp) -> Result<Self, Error> {
        Ok(Self(path_param(parts, "token").await.unwrap_or_default().into()))
    }
}

impl<C: Caller> FromRequestParts<SharedApp> for Tenant<C> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &SharedApp) -> Result<Self, Error> {
        let caller = C::from_request_parts(parts, app).await?;
        let id = path_param(parts, "id").await.and_then(|id| WorkspaceId::parse(&id).ok());
        let workspace = match id {
            Some(id) => app.store.workspace(caller.user(), id).await?,
            None => None,
        };
        let workspace = workspace.ok_or(Error::NotFound("workspace"))?;
        Ok(Self { caller, workspace })
    }
}

impl<C: Caller> FromRequestParts<SharedApp> for Target<C> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &SharedApp) -> Result<Self, Error> {
        let Tenant { caller, workspace } = Tenant::from_request_parts(parts, app).await?;
        let provider = path_param(parts, "provider").await.and_then(|slug| slug.parse::<Provider>().ok());
        let provider = provider
            .filter(|provider| provider.serves(workspace.channel))
            .ok_or(Error::NotFound("integration of this workspace"))?;
        Ok(Self { caller, workspace, provider })
    }
}

#[cfg(test)]
mod tests {
    use coachbot_common::config::{MapEnv, Reader};

    use super::*;
    use crate::config::Config;

    fn public_url(text: &str) -> PublicUrl {
        let env = MapEnv::from([("COACHBOT_PUBLIC_URL", text)]);
        Config::read(&mut Reader::new(&env)).unwrap().public_url()
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn a_write_is_taken_from_our_own_pages_only() {
        let url = public_url("https://coach.example");
        let check = |pairs: &[(&'static str, &'static str)]| {
            check_same_origin(&Method::POST, &headers(pairs), &url).is_ok()
        };
        assert!(check(&[("sec-fetch-site", "same-origin"), ("origin", "https://coach.example")]));
        assert!(check(&[("origin", "https://coach.example"), ("host", "internal:8080")]));
        assert!(check(&[("origin", "http://127.0.0.1:8080"), ("host", "127.0.0.1:8080")]));
        assert!(!check(&[("sec-fetch-site", "cross-site"), ("origin", "https://coach.example")]));
        assert!(!check(&[("sec-fetch-site", "same-site")]));
        assert!(!check(&[("origin", "https://coach.example.evil.example"), ("host", "coach.example")]));
        assert!(!check(&[("origin", "null"), ("host", "coach.example")]));
        assert!(!check(&[]));
        assert!(check_same_origin(&Method::GET, &headers(&[]), &url).is_ok());
    }

    #[test]
    fn the_cookie_is_bound_to_the_host_where_there_is_tls() {
        let token = random_token("");
        let cookie = session_cookie(&public_url("https://coach.example"), Some(&token));
        let text = cookie.to_str().unwrap();
        assert!(text.starts_with("__Host-coachbot="));
        assert!(text.ends_with("; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax; Secure"), "{text}");
        assert!(!format!("{cookie:?}").contains(token.expose_secret()));
        let plain = session_cookie(&public_url("http://localhost:8080"), None);
        assert_eq!(plain.to_str().unwrap(), "coachbot=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn a_bearer_token_is_read_in_any_case() {
        let token = |value| bearer(&headers(&[("authorization", value)])).map(str::to_owned);
        assert_eq!(token("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(token("bearer  abc ").as_deref(), Some("abc"));
        for wrong in ["abc", "Basic abc", "Bearer ", "Bearer"] {
            assert_eq!(token(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_hint_shows_four_characters() {
        assert_eq!(hint_of(&SecretString::from(format!("cbk_{}wxyz", "a".repeat(39)))), "cbk_…wxyz");
        assert_eq!(hint_of(&SecretString::from("bootstrap-key-of-thirty-two-characters")), "…ters");
    }
}
