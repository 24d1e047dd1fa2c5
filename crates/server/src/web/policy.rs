//! What a page's content security policy must allow.

use heapline_action::destination::Hosts;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::PublicAddress;

/// What a page's content security policy must allow, by directive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// Origins of scripts: this server and the destination's script.
    pub script_src: Vec<String>,
    /// Origins of requests.
    pub connect_src: Vec<String>,
    /// Origins of images that carry data; empty if there are none.
    pub img_src: Vec<String>,
    /// The directives, with a nonce for the page's own scripts, to be put into the header
    /// `Content-Security-Policy`.
    pub header: String,
}

impl Policy {
    pub(super) fn of(address: &PublicAddress, hosts: Hosts) -> Policy {
        let own = |more: Vec<String>| -> Vec<String> {
            let mut all = vec![address.origin()];
            all.extend(more.into_iter().filter(|origin| *origin != address.origin()));
            all
        };
        let (script_src, connect_src) = (own(hosts.scripts), own(hosts.requests));
        let img_src = hosts.images;
        let mut header = format!("script-src 'nonce-RANDOM' {};\n", script_src.join(" "));
        header += &format!("connect-src {};", connect_src.join(" "));
        if !img_src.is_empty() {
            header += &format!("\nimg-src {};", img_src.join(" "));
        }
        Policy { script_src, connect_src, img_src, header }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_named_once_and_images_only_where_they_are_sent() {
        let address =
            |text: &str| PublicAddress::read(text, "127.0.0.1:80".parse().unwrap()).unwrap();
        let hosts = Hosts {
            scripts: vec!["https://cdn.heap.example".into()],
            requests: vec!["https://shop.example".into()],
            images: vec!["https://i.heap.example".into()],
        };
        let policy = Policy::of(&address("https://shop.example/_cdp"), hosts.clone());
        assert_eq!(
            policy.header,
            "script-src 'nonce-RANDOM' https://shop.example https://cdn.heap.example;\n\
             connect-src https://shop.example;\n\
             img-src https://i.heap.example;"
        );
        let without = Hosts { images: Vec::new(), ..hosts };
        assert!(!Policy::of(&address(""), without).header.contains("img-src"));
    }
}
