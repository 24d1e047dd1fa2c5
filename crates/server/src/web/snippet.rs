//! What a page has in its head to load a client from this server.

/// For Customer.io's client, of the server at `origin` and the source with `key`.
pub(crate) fn customerio(origin: &str, key: &str) -> String {
    filled(include_str!("../../snippets/customerio.html"), origin, key)
}

/// For Segment's client.
pub(crate) fn segment(origin: &str, key: &str) -> String {
    filled(include_str!("../../snippets/segment.html"), origin, key)
}

fn filled(snippet: &str, origin: &str, key: &str) -> String {
    snippet.trim_end().replace("https://cdp.shop.example", origin).replace("WRITE_KEY", key)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_guide_shows_the_same() {
        let guide = include_str!("../../../../docs/web.md");
        assert!(guide.contains(include_str!("../../snippets/customerio.html")));
        assert!(guide.contains(include_str!("../../snippets/segment.html")));
    }
}
