//! `/sign-in`, `/sign-in/{token}`, `/sign-out`.

use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use secrecy::ExposeSecret as _;

use super::views::SignInPage;
use super::{layout, page};
use crate::app::SharedApp;
use crate::auth::{PathToken, Person, redeem, session_cookie, session_hash};
use crate::error::Error;

fn sign_in_page(status: StatusCode, link_refused: bool, signed_out: bool) -> Result<Response, Error> {
    let layout = layout("Sign in".to_owned(), false, None);
    page(status, &SignInPage { layout, link_refused, signed_out })
}

pub(crate) async fn show(person: Result<Person, Error>, uri: Uri) -> Result<Response, Error> {
    match person {
        Ok(_) => Ok(Redirect::to("/").into_response()),
        Err(Error::Unauthenticated) => sign_in_page(StatusCode::OK, false, uri.query() == Some("signed-out")),
        Err(error) => Err(error),
    }
}

/// Uses the link, once. A HEAD, which some programs send to look at a link, does not.
pub(crate) async fn follow_link(
    State(app): State<SharedApp>,
    method: Method,
    person: Result<Person, Error>,
    PathToken(token): PathToken,
) -> Result<Response, Error> {
    if method == Method::HEAD {
        return sign_in_page(StatusCode::OK, false, false);
    }
    if let Some(session) = redeem(&app, token.expose_secret()).await? {
        let cookie = session_cookie(&app.public_url, Some(&session));
        return Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response());
    }
    // Whoever opens a link twice is signed in already.
    if person.is_ok() {
        return Ok(Redirect::to("/").into_response());
    }
    sign_in_page(StatusCode::GONE, true, false)
}

pub(crate) async fn sign_out(State(app): State<SharedApp>, headers: HeaderMap) -> Result<Response, Error> {
    if let Some(session) = session_hash(&headers, &app.public_url) {
        app.store.delete_session(&session).await?;
    }
    let cookie = session_cookie(&app.public_url, None);
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/sign-in?signed-out")).into_response())
}
