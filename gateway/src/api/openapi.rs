//! `/api/v1/openapi.json`: the API as its handlers describe it.

use std::sync::LazyLock;

use axum::response::{IntoResponse as _, Response};
use http::header;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{AdditionalProperties, Schema};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, ResponseBuilder,
};
use utoipa::{PartialSchema as _, ToSchema as _};

use crate::error::{FieldError, Problem};

const SCHEME: &str = "api_key";

/// What the description begins with, before the handlers add theirs.
pub(crate) fn base() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Coachbot")
        .version("1")
        .description(Some(
            "Workspaces, the accounts that they bring, and what to paste where. Errors are problems (RFC 9457); \
             times are RFC 3339 in UTC; an id of somebody else answers as an unknown one does.",
        ))
        .build();
    let components = ComponentsBuilder::new()
        .schema(Problem::name(), Problem::schema())
        .schema(FieldError::name(), FieldError::schema())
        .security_scheme(SCHEME, SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)))
        .build();
    OpenApiBuilder::new().info(info).components(Some(components)).build()
}

/// Adds what holds for every operation: who may call, and how it fails.
pub(crate) fn complete(mut api: OpenApi) -> OpenApi {
    let mut bodies = Vec::new();
    for (path, item) in &mut api.paths.paths {
        for operation in operations(item) {
            if !path.ends_with("/openapi.json") {
                describe(path, operation);
            }
            bodies.extend(body_schema(operation));
        }
    }
    if let Some(components) = &mut api.components {
        for (name, schema) in &mut components.schemas {
            if let (true, RefOr::T(Schema::Object(object))) = (bodies.contains(name), schema) {
                object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
            }
        }
    }
    api
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete]
        .into_iter()
        .filter_map(Option::as_mut)
}

fn describe(path: &str, operation: &mut Operation) {
    operation.security = Some(vec![SecurityRequirement::new(SCHEME, Vec::<String>::new())]);
    let has_body = operation.request_body.is_some();
    let is_list = operation.parameters.as_ref().is_some_and(|parameters| {
        parameters.iter().any(|parameter| matches!(parameter, RefOr::T(one) if one.name == "limit"))
    });
    let problems = [
        (true, "401", "No API key, or an unknown one"),
        (path.contains('{'), "404", "Unknown, or somebody else's"),
        (
            path.contains("/integrations/") && !path.ends_with("/verify"),
            "409",
            "The vault is locked: `reason` and `variable` say why",
        ),
        (has_body, "400", "The body is not a JSON object"),
        (has_body, "413", "The body is too large"),
        (has_body, "415", "The body is not JSON by its type"),
        (has_body || is_list, "422", "Fields are refused: `errors` names each"),
        (true, "500", "A fault of ours"),
        (true, "503", "Not available right now"),
    ];
    for (applies, status, description) in problems {
        if applies {
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
            let response = ResponseBuilder::new()
                .description(description)
                .content("application/problem+json", content)
                .build();
            operation.responses.responses.insert(status.to_owned(), RefOr::T(response));
        }
    }
}

/// The name of the schema of an operation's body.
fn body_schema(operation: &Operation) -> Option<String> {
    let RefOr::T(body) = operation.request_body.as_ref()? else { return None };
    let RefOr::T(content) = body.content.get("application/json")? else { return None };
    match content.schema.as_ref()? {
        RefOr::Ref(reference) => reference.ref_location.rsplit('/').next().map(str::to_owned),
        RefOr::T(_) => None,
    }
}

/// Describe this API
#[utoipa::path(
    get, path = "/openapi.json", tag = "description",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json")),
)]
pub(crate) async fn openapi_json() -> Response {
    // The same for everybody, for as long as the process lives.
    static TEXT: LazyLock<String> =
        LazyLock::new(|| serde_json::to_string(&crate::routes::description()).unwrap_or_default());
    ([(header::CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response()
}
