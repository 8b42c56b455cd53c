//! JSON bodies: every problem of one is found at once and named by its field,
//! and no value is repeated in what is said about it.

use std::fmt;
use std::str::FromStr;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use coachbot_integrations::FieldProblem;
use http::{HeaderMap, StatusCode, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::app::SharedApp;
use crate::error::Error;
use crate::layers::BODY_LIMIT;

/// A JSON value as far as our bodies need one. No `Debug`: any text may be a
/// secret.
pub(crate) enum Value {
    /// A text.
    Text(SecretString),
    /// A number, in its digits.
    Number(String),
    /// True or false.
    Flag(bool),
    /// Null.
    Null,
    /// An object.
    Object(Members),
    /// Anything else; no field takes it.
    Other,
}

/// The members of an object, in their order, doubles included.
pub(crate) struct Members(pub Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.into()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Flag(flag))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Value::Object(Members(members)))
    }
}

/// Reads the members of an object and collects what is wrong with them.
pub(crate) struct Object {
    members: Vec<(String, Value)>,
    known: Vec<&'static str>,
    problems: Vec<FieldProblem>,
}

impl Object {
    fn new(members: Members) -> Self {
        let mut object = Self { members: Vec::new(), known: Vec::new(), problems: Vec::new() };
        for (name, value) in members.0 {
            if object.members.iter().any(|(seen, _)| *seen == name) {
                object.refuse(&shown(&name), "is there twice");
            } else {
                object.members.push((name, value));
            }
        }
        object
    }

    /// Records what is wrong with a field.
    pub(crate) fn refuse(&mut self, field: &str, words: &str) {
        self.problems.push(FieldProblem { field: field.to_owned(), message: format!("{field} {words}") });
    }

    /// How many problems were recorded so far.
    pub(crate) fn problems(&self) -> usize {
        self.problems.len()
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        let at = self.members.iter().position(|(member, _)| member == name)?;
        Some(self.members.swap_remove(at).1)
    }

    /// A text that may be missing, through its parser.
    pub(crate) fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match self.take(name)? {
            Value::Text(text) => match parse(text.expose_secret()) {
                Ok(value) => return Some(value),
                Err(words) => self.refuse(name, &words),
            },
            _ => self.refuse(name, "must be a text"),
        }
        None
    }

    /// A text that must be there, through its parser.
    pub(crate) fn required<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        if !self.members.iter().any(|(member, _)| member == name) {
            self.known.push(name);
            self.refuse(name, "is missing");
            return None;
        }
        self.optional(name, parse)
    }

    /// A text that may be missing or null, through its parser. `Some(None)` is null.
    pub(crate) fn nullable<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Option<T>> {
        if self.members.iter().any(|(member, value)| member == name && matches!(value, Value::Null)) {
            self.take(name);
            return Some(None);
        }
        self.optional(name, parse).map(Some)
    }

    /// A whole number that may be missing.
    pub(crate) fn optional_number<T: FromStr>(&mut self, name: &'static str) -> Option<T> {
        let number = match self.take(name)? {
            Value::Number(digits) => digits.parse().ok(),
            _ => None,
        };
        if number.is_none() {
            self.refuse(name, "must be a whole number in its range");
        }
        number
    }

    /// An object that must be there.
    pub(crate) fn required_object(&mut self, name: &'static str) -> Option<Members> {
        match self.take(name) {
            Some(Value::Object(members)) => return Some(members),
            Some(_) => self.refuse(name, "must be an object"),
            None => self.refuse(name, "is missing"),
        }
        None
    }

    fn finish<T>(mut self, value: Option<T>) -> Result<T, Error> {
        let known = self.known.join(", ");
        for (name, _) in std::mem::take(&mut self.members) {
            let words = format!("is not a field of this request: use {known}");
            self.refuse(&shown(&name), &words);
        }
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => Err(Error::Invalid(self.problems)),
        }
    }
}

/// A name that the caller made up. It may be a secret in the wrong place, so that
/// it is not repeated whole.
pub(crate) fn shown(name: &str) -> String {
    name.chars().filter(char::is_ascii_graphic).take(32).collect()
}

/// What a request's body is read into.
pub(crate) trait FromObject: Sized {
    /// Reads the members; `None` when a problem was recorded.
    fn read(object: &mut Object) -> Option<Self>;
}

/// A JSON body.
pub(crate) struct Body<T>(pub T);

impl<T: FromObject> FromRequest<SharedApp> for Body<T> {
    type Rejection = Error;

    async fn from_request(request: Request, app: &SharedApp) -> Result<Self, Error> {
        if !is_type(request.headers(), "application/json") {
            return Err(Error::MediaType("application/json"));
        }
        let bytes = whole(request, app).await?;
        let value = serde_json::from_slice(&bytes)
            .map_err(|error| Error::Syntax { line: error.line(), column: error.column() })?;
        let Value::Object(members) = value else { return Err(Error::NotAnObject) };
        let mut object = Object::new(members);
        let read = T::read(&mut object);
        object.finish(read).map(Self)
    }
}

/// Whether the body says that it is of this type, parameters aside.
pub(crate) fn is_type(headers: &HeaderMap, expected: &str) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case(expected))
}

/// The whole body, as long as it is not too large.
pub(crate) async fn whole(request: Request, app: &SharedApp) -> Result<Bytes, Error> {
    Bytes::from_request(request, app).await.map_err(|rejection: BytesRejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Error::TooLarge(BODY_LIMIT)
        } else {
            Error::BrokenBody
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sample(String);

    impl FromObject for Sample {
        fn read(object: &mut Object) -> Option<Self> {
            let name = object.required("name", |text| Ok(text.to_owned()));
            let note = object.optional("note", |_| Err::<(), _>("is never right".to_owned()));
            assert!(note.is_none());
            name.map(Self)
        }
    }

    fn read(json: &str) -> Result<String, Vec<(String, String)>> {
        let Ok(Value::Object(members)) = serde_json::from_str(json) else { panic!("not an object") };
        let mut object = Object::new(members);
        let sample = Sample::read(&mut object);
        object.finish(sample).map(|Sample(name)| name).map_err(|error| match error {
            Error::Invalid(problems) => problems.into_iter().map(|one| (one.field, one.message)).collect(),
            other => panic!("{other}"),
        })
    }

    #[test]
    fn all_problems_are_named_at_once() {
        assert_eq!(read(r#"{"name":"a"}"#).unwrap(), "a");
        let problems = read(r#"{"note":"s3cret","more":1,"more":2,"name":7}"#).unwrap_err();
        let fields: Vec<_> = problems.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(fields, ["more", "name", "note", "more"]);
        assert!(problems.iter().all(|(_, message)| !message.contains("s3cret")));
        assert_eq!(read("{}").unwrap_err(), [("name".to_owned(), "name is missing".to_owned())]);
    }
}
