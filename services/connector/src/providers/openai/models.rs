//! Whether the model in use is there, and for how long.

use jiff::civil::{Date, date};

use super::wire::Model;
use crate::verify::Caution;

/// Last days of models that the list may not tell, from
/// <https://developers.openai.com/api/docs/deprecations> and the model list of
/// the official Python SDK 3.57.0 (November 2026).
const SHUTDOWNS: [(&str, Date); 12] = [
    ("gpt-4o-2024-05-13", date(2026, 10, 23)),
    ("gpt-5", date(2026, 12, 11)),
    ("gpt-5-mini", date(2026, 12, 11)),
    ("gpt-5-nano", date(2026, 12, 11)),
    ("gpt-4o", date(2027, 1, 14)),
    ("gpt-4o-2024-08-06", date(2027, 1, 14)),
    ("gpt-4o-2024-11-20", date(2027, 1, 14)),
    ("gpt-4o-mini", date(2027, 1, 14)),
    ("gpt-4.1", date(2027, 1, 14)),
    ("gpt-4.1-mini", date(2027, 1, 14)),
    ("gpt-5.1", date(2027, 4, 1)),
    ("gpt-5.4-nano", date(2027, 4, 1)),
];

/// What deserves attention about the model in use.
pub(super) fn cautions(list: &[Model<'_>], model: &str, today: Date) -> Vec<Caution> {
    let listed = list.iter().find(|listed| listed.id.text() == Some(model));
    let mut cautions = Vec::new();
    if listed.is_none() {
        cautions.push(Caution::ModelNotListed(model.to_owned()));
    }
    let told = listed.and_then(|listed| listed.shutdown_date.text()).and_then(|text| text.parse().ok());
    if let Some(on) = told.or_else(|| known_shutdown(model)) {
        cautions.push(Caution::ModelShutsDown { model: model.to_owned(), on, past: on <= today });
    }
    cautions
}

fn known_shutdown(model: &str) -> Option<Date> {
    SHUTDOWNS.iter().find(|(name, _)| *name == model).map(|(_, on)| *on)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: Date = date(2026, 11, 25);

    fn found(list: &str, model: &str) -> Vec<Caution> {
        let list: Vec<Model<'_>> = serde_json::from_str(list).unwrap();
        cautions(&list, model, TODAY)
    }

    fn shuts_down(model: &str, on: Date, past: bool) -> Caution {
        Caution::ModelShutsDown { model: model.to_owned(), on, past }
    }

    #[test]
    fn the_lists_own_date_comes_before_the_table() {
        let list = r#"[{"id": "gpt-4o", "shutdown_date": "2027-03-01"}]"#;
        assert_eq!(found(list, "gpt-4o"), [shuts_down("gpt-4o", date(2027, 3, 1), false)]);
    }

    #[test]
    fn the_table_speaks_where_the_list_is_silent() {
        for list in [r#"[{"id": "gpt-4o"}]"#, r#"[{"id": "gpt-4o", "shutdown_date": null}]"#] {
            assert_eq!(found(list, "gpt-4o"), [shuts_down("gpt-4o", date(2027, 1, 14), false)]);
        }
    }

    #[test]
    fn a_model_may_be_unlisted_and_past_its_day_at_once() {
        assert_eq!(
            found("[]", "gpt-4o-2024-05-13"),
            [
                Caution::ModelNotListed("gpt-4o-2024-05-13".to_owned()),
                shuts_down("gpt-4o-2024-05-13", date(2026, 10, 23), true)
            ]
        );
    }

    #[test]
    fn a_listed_model_without_an_end_needs_no_attention() {
        assert_eq!(found(r#"[{"id": "gpt-6-luna", "shutdown_date": null}, {"id": 7}]"#, "gpt-6-luna"), []);
    }
}
