//! Where a provider is called.

use url::Url;

/// The base URL of a provider. It may have a path of its own (`…/v1`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(Url);

impl BaseUrl {
    /// Takes a URL that configuration has checked: http(s) with a host, without
    /// query, fragment and credentials.
    #[must_use]
    pub fn new(url: Url) -> Self {
        Self(url)
    }

    /// The URL of a resource below the base.
    ///
    /// Each segment is escaped as one, so that an id that holds `/` or `?` stays
    /// inside its segment.
    ///
    /// # Panics
    /// When the base cannot have a path, which no http(s) URL is.
    #[must_use]
    pub fn below(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        url.path_segments_mut().expect("http(s) URLs have a path").pop_if_empty().extend(segments);
        url
    }

    /// Whether the credential would travel in the open.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn below(base: &str, segments: &[&str]) -> String {
        BaseUrl::new(base.parse().unwrap()).below(segments).into()
    }

    #[test]
    fn a_path_of_the_base_is_kept() {
        assert_eq!(below("https://api.example", &["v2", "me"]), "https://api.example/v2/me");
        assert_eq!(below("https://api.example/v1", &["models"]), "https://api.example/v1/models");
        assert_eq!(below("https://api.example/v1/", &["models"]), "https://api.example/v1/models");
    }

    #[test]
    fn an_id_stays_inside_its_segment() {
        assert_eq!(
            below("https://api.example", &["call", "../a?b=c#d/e"]),
            "https://api.example/call/..%2Fa%3Fb=c%23d%2Fe"
        );
    }
}
