//! JSON as it comes, for members that a provider may mistype.
//!
//! Providers send `error` as an object or a text, `message` as a text or a list,
//! `code` as a number, a text or null. A shape that insists would fail on the
//! very answers that explain a failure. Texts are borrowed from the body where
//! they can be, because error bodies may repeat a key.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Any JSON value.
#[derive(Default)]
pub(crate) enum Node<'a> {
    /// `null`, or a member that is not there.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// A text.
    Text(Cow<'a, str>),
    /// A list.
    List(Vec<Node<'a>>),
    /// An object, members in their order.
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl<'a> Node<'a> {
    /// The text, if it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The whole number, also when it is written as a text.
    pub(crate) fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// Whether it is `true`.
    pub(crate) fn is_true(&self) -> bool {
        matches!(self, Self::Bool(true))
    }

    /// Whether it is `false`.
    pub(crate) fn is_false(&self) -> bool {
        matches!(self, Self::Bool(false))
    }

    /// Whether it is a number above 0.
    pub(crate) fn is_positive(&self) -> bool {
        match self {
            Self::Integer(number) => *number > 0,
            Self::Float(number) => *number > 0.0,
            _ => false,
        }
    }

    /// The member of that name; `Null` when there is none.
    pub(crate) fn get(&self, name: &str) -> &Self {
        if let Self::Object(members) = self
            && let Some((_, member)) = members.iter().find(|(key, _)| key == name)
        {
            return member;
        }
        &Self::Null
    }

    /// The items of a list; none of anything else.
    pub(crate) fn items(&self) -> &[Self] {
        if let Self::List(items) = self { items } else { &[] }
    }

    /// The members of an object, in their order; none of anything else.
    pub(crate) fn members(&self) -> &[(Cow<'a, str>, Self)] {
        if let Self::Object(members) = self { members } else { &[] }
    }

    /// Whether it is a list.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self, Self::List(_))
    }

    /// Whether it is an object.
    pub(crate) fn is_object(&self) -> bool {
        matches!(self, Self::Object(_))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Node<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node<'de>, E> {
        Ok(Node::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node<'de>, E> {
        #[expect(clippy::cast_precision_loss, reason = "only its sign is asked for")]
        Ok(i64::try_from(value).map_or(Node::Float(value as f64), Node::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node<'de>, E> {
        Ok(Node::Float(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Node<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(key) = object.next_key::<Node<'de>>()? {
            let value = object.next_value()?;
            if let Node::Text(key) = key {
                members.push((key, value));
            }
        }
        Ok(Node::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_whatever_their_type() {
        let text = r#"{"code": "20003", "n": 7, "price": 0.5, "big": 18446744073709551615, "on": true,
            "message": ["a", "b"], "error": {"message": "x \u0041"}, "none": null}"#;
        let node: Node<'_> = serde_json::from_str(text).unwrap();
        assert!(node.is_object());
        assert_eq!(node.get("code").integer(), Some(20003));
        assert_eq!(node.get("n").integer(), Some(7));
        assert!(node.get("price").is_positive() && node.get("big").is_positive());
        assert!(node.get("on").is_true());
        assert_eq!(node.get("message").items().first().and_then(Node::text), Some("a"));
        assert_eq!(node.get("error").get("message").text(), Some("x A"));
        assert_eq!(node.get("none").get("deeper").text(), None);
    }

    #[test]
    fn plain_texts_are_borrowed() {
        let node: Node<'_> = serde_json::from_str(r#""cal_live_key""#).unwrap();
        assert!(matches!(node, Node::Text(Cow::Borrowed("cal_live_key"))));
    }
}
