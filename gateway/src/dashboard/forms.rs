//! Forms as browsers send them.

use axum::extract::{FromRequest, Request};
use secrecy::{ExposeSecret as _, SecretString};

use crate::api::body::{is_type, whole};
use crate::app::SharedApp;
use crate::error::Error;

const TYPE: &str = "application/x-www-form-urlencoded";

/// What was typed, by the inputs' names. Any of it may be a secret.
pub(crate) struct Form(Vec<(String, SecretString)>);

impl Form {
    /// What was typed there; `None` when the form has no such input.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(input, _)| input == name).map(|(_, value)| value.expose_secret())
    }

    /// What was typed there, or nothing.
    pub(super) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }
}

impl FromRequest<SharedApp> for Form {
    type Rejection = Error;

    async fn from_request(request: Request, app: &SharedApp) -> Result<Self, Error> {
        if !is_type(request.headers(), TYPE) {
            return Err(Error::MediaType(TYPE));
        }
        let bytes = whole(request, app).await?;
        let inputs = url::form_urlencoded::parse(&bytes);
        Ok(Self(inputs.map(|(name, value)| (name.into_owned(), value.into_owned().into())).collect()))
    }
}
