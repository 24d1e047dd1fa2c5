//! How each client is set up to send to this server: ready to paste.

use crate::web::snippet;

/// One way to send.
pub(super) struct Client {
    /// For people.
    pub(super) title: &'static str,
    /// Names it in the page.
    pub(super) id: &'static str,
    /// Where the text goes.
    pub(super) place: &'static str,
    /// The text.
    pub(super) code: String,
}

/// The ways for the source `source` of the kind `kind`, the likeliest first.
pub(super) fn clients(source: &str, kind: &str, origin: &str, key: &str) -> Vec<Client> {
    let first: &[Make] = match kind {
        "javascript" => &[npm, customerio_snippet, segment_snippet],
        "node" => &[node],
        "python" => &[python],
        "go" => &[go],
        "file" => &[file],
        _ => &[],
    };
    let facts = Facts { source, origin, key };
    let all: [Make; 8] = [curl, node, python, go, npm, customerio_snippet, segment_snippet, file];
    let mut makes: Vec<Make> = first.to_vec();
    // A page's key is public and its events carry what a page knows: other keys don't mix with it.
    let others = all.into_iter().filter(|make| match kind {
        "javascript" => std::ptr::fn_addr_eq(*make, curl as Make),
        _ => ![npm as Make, customerio_snippet, segment_snippet]
            .iter()
            .any(|web| std::ptr::fn_addr_eq(*web, *make)),
    });
    makes.extend(others.filter(|make| !first.iter().any(|f| std::ptr::fn_addr_eq(*f, *make))));
    makes.into_iter().map(|make| make(&facts)).collect()
}

type Make = fn(&Facts<'_>) -> Client;

struct Facts<'f> {
    source: &'f str,
    origin: &'f str,
    key: &'f str,
}

fn curl(Facts { origin, key, .. }: &Facts<'_>) -> Client {
    let code = format!(
        "curl -u {key}: {origin}/v1/track \\\n  -H 'Content-Type: application/json' \\\n  \
         -d '{{\"userId\":\"ada\",\"event\":\"Signed Up\",\"properties\":{{\"plan\":\"team\"}}}}'"
    );
    Client { title: "curl", id: "curl", place: "In a shell", code }
}

fn node(Facts { origin, key, .. }: &Facts<'_>) -> Client {
    let code = format!(
        "import {{ Analytics }} from \"@segment/analytics-node\";\n\n\
         const analytics = new Analytics({{\n  writeKey: \"{key}\",\n  host: \"{origin}\",\n}});\n\n\
         analytics.identify({{ userId: \"ada\", traits: {{ email: \"ada@example.com\" }} }});\n\
         analytics.track({{ userId: \"ada\", event: \"Signed Up\", properties: {{ plan: \"team\" }} }});\n\
         await analytics.closeAndFlush();"
    );
    let place = "npm install @segment/analytics-node (or @customerio/cdp-analytics-node)";
    Client { title: "Node.js", id: "node", place, code }
}

fn python(Facts { origin, key, .. }: &Facts<'_>) -> Client {
    let code = format!(
        "import segment.analytics as analytics\n\n\
         analytics.write_key = \"{key}\"\nanalytics.host = \"{origin}\"\n\n\
         analytics.identify(\"ada\", {{\"email\": \"ada@example.com\"}})\n\
         analytics.track(\"ada\", \"Signed Up\", {{\"plan\": \"team\"}})\n\
         analytics.flush()"
    );
    let place = "pip install segment-analytics-python (or customerio-cdp-analytics)";
    Client { title: "Python", id: "python", place, code }
}

fn go(Facts { origin, key, .. }: &Facts<'_>) -> Client {
    let code = format!(
        "client, err := analytics.NewWithConfig(\"{key}\", analytics.Config{{\n\
         \tEndpoint: \"{origin}\",\n}})\nif err != nil {{\n\tlog.Fatal(err)\n}}\n\
         defer client.Close()\n\n\
         client.Enqueue(analytics.Track{{\n\tUserId:     \"ada\",\n\tEvent:      \"Signed Up\",\n\
         \tProperties: analytics.NewProperties().Set(\"plan\", \"team\"),\n}})"
    );
    let place = "go get github.com/customerio/cdp-analytics-go";
    Client { title: "Go", id: "go", place, code }
}

fn npm(Facts { origin, key, .. }: &Facts<'_>) -> Client {
    let code = format!(
        "import {{ AnalyticsBrowser }} from \"@customerio/cdp-analytics-browser\";\n\n\
         export const analytics = AnalyticsBrowser.load({{\n  writeKey: \"{key}\",\n  \
         cdnURL: \"{origin}\",\n}});\n\n\
         analytics.identify(\"ada\", {{ email: \"ada@example.com\" }});\n\
         analytics.track(\"Signed Up\", {{ plan: \"team\" }});"
    );
    let place = "npm install @customerio/cdp-analytics-browser: one bundle with your own code";
    Client { title: "npm", id: "npm", place, code }
}

fn customerio_snippet(Facts { origin, key, .. }: &Facts<'_>) -> Client {
    let code = snippet::customerio(origin, key);
    Client { title: "Snippet", id: "snippet", place: "In the head of every page", code }
}

fn segment_snippet(Facts { origin, key, .. }: &Facts<'_>) -> Client {
    let code = snippet::segment(origin, key);
    let place = "In the head of every page, for Segment's client";
    Client { title: "Segment's snippet", id: "segment-snippet", place, code }
}

fn file(Facts { source, origin, .. }: &Facts<'_>) -> Client {
    let code = format!(
        "export HEAPLINE_TOKEN=…   # an editor's, made in Settings, Tokens\n\
         heapline send --server {origin} --source {source} events.jsonl"
    );
    let place = "In a shell: JSON lines or CSV, gzipped or not; goes on where it was interrupted";
    Client { title: "File", id: "file", place, code }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_begins_with_its_own_client_and_has_host_and_key_filled_in() {
        for (kind, first) in [
            ("javascript", "npm"),
            ("node", "node"),
            ("python", "python"),
            ("go", "go"),
            ("file", "file"),
            ("http", "curl"),
            ("ios", "curl"),
        ] {
            let all = clients("shop", kind, "https://cdp.example", "wk_1");
            assert_eq!(all[0].id, first, "{kind}");
            let own = |c: &Client| if c.id == "file" { "--source shop" } else { "wk_1" };
            let filled = |c: &Client| c.code.contains("cdp.example") && c.code.contains(own(c));
            assert!(all.iter().all(filled), "{kind}");
        }
    }

    #[test]
    fn a_key_for_pages_is_not_offered_to_servers_nor_the_other_way() {
        let ids =
            |kind| clients("s", kind, "http://h", "k").iter().map(|c| c.id).collect::<Vec<_>>();
        assert_eq!(ids("javascript"), ["npm", "snippet", "segment-snippet", "curl"]);
        assert_eq!(ids("node"), ["node", "curl", "python", "go", "file"]);
    }
}
