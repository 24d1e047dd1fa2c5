//! Odd settings, actions and events from a seed, as JSON text.

use std::fmt::Write;

/// Makes them. The same seed gives the same.
pub(super) struct Odd(u64);

/// Keys that JavaScript orders before others (whole numbers), that objects have by themselves, that
/// flattening joins, that are empty, long, or not in ASCII. Not `__proto__`, which the page loses.
const KEYS: &[&str] = &[
    "a",
    "b",
    "c",
    "plan",
    "items",
    "0",
    "1",
    "2",
    "10",
    "01",
    "-1",
    "1.5",
    "4294967294",
    "4294967295",
    "9007199254740993",
    "",
    "a.b",
    "a.",
    ".",
    "a b",
    "length",
    "constructor",
    "toString",
    "hasOwnProperty",
    "value",
    "segment_library",
    "anonymous_id",
    "ключ",
    "日本",
    "😀",
    "e\u{301}",
    "\u{e9}",
    "\\u0000",
    "\\\"",
    "\\\\",
    "\u{2028}",
    "\u{7f}",
    "Key",
    "KEY",
];

const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "-0.0",
    "0.0",
    "1",
    "-1",
    "1.0",
    "1.50",
    "0.1",
    "4.35",
    "0.30000000000000004",
    "1e3",
    "1E3",
    "1e20",
    "1e21",
    "123456789012345680000",
    "1234567890123456789012",
    "-1e21",
    "1e-6",
    "0.000001",
    "1e-7",
    "5e-324",
    "1.7976931348623157e308",
    "9007199254740991",
    "9007199254740992",
    "9007199254740993",
    "-9007199254740993",
    "18446744073709551615",
    "18446744073709551616",
    "4294967296",
    "1e-400",
    "2.2250738585072011e-308",
    "100",
    "7",
    "10",
    "42.5",
];

const TEXTS: &[&str] = &[
    "",
    " ",
    "0",
    " 0 ",
    "00",
    "1",
    "null",
    "undefined",
    "NaN",
    "[object Object]",
    "true",
    "false",
    "a",
    "Order Completed",
    "ada",
    " ada ",
    "\u{a0}",
    "\u{feff}",
    "\u{85}",
    "\\u0000",
    "\\n",
    "\\t x",
    "2026-11-24T12:00:00.000Z",
    "2026-11-24",
    "ключ",
    "日本語",
    "😀",
    "e\u{301}",
    "ß",
    "İ",
    "ﬀ",
    "</script>",
    "{{event}}",
    "{{{userId}}}",
    "$.event",
    "a,b",
    "[1,2]",
    "{\\\"a\\\":1}",
    "-0",
    "1e21",
    "\u{2028}\u{2029}",
    "\\\"quoted\\\"",
    "\\\\",
    "\\/",
    "$&",
    "track",
];

const TRIGGERS: &[&str] = &[
    r#"type = "track""#,
    r#"type = "identify""#,
    r#"type = "track" or type = "identify""#,
    r#"event != null"#,
    r#"properties.a > 1"#,
    r#"properties.a >= "1""#,
    r#"properties.a < 1e21"#,
    r#"properties.a = true"#,
    r#"properties.a != true"#,
    r#"properties.a = 0"#,
    r#"properties.a != 1"#,
    r#"properties.a = """#,
    r#"properties.a != null"#,
    r#"contains(properties.a, "a")"#,
    r#"!contains(event, "x")"#,
    r#"match(event, "O*")"#,
    r#"!match(properties.plan, "*a")"#,
    r#"properties.items.length > 1"#,
    r#"properties.items[0].a = null"#,
    r#"properties["a.b"] != null"#,
    r#"userId != null"#,
    r#"!(type = "page" and userId = null)"#,
    r#"context.traits.plan = "a""#,
];

const MAPPINGS: &[&str] = &[
    r#"{"name":{"@path":"$.event"},"properties":{"@path":"$.properties"}}"#,
    r#"{"name":"Fixed","properties":{"@path":"$"}}"#,
    r#"{"name":{"@path":"$.event"},"identity":{"@path":"$.userId"},"traits":{"@path":"$.traits"}}"#,
    r#"{"name":{"@template":"{{event}} / {{properties.a}} / {{{properties.items}}}"}}"#,
    r#"{"name":{"@if":{"exists":{"@path":"$.event"},"then":{"@path":"$.event"},"else":"None"}},"properties":{"@merge":{"objects":[{"@path":"$.properties"},{"@path":"$.context.traits"}],"direction":"right"}}}"#,
    r#"{"name":{"@if":{"blank":{"@path":"$.properties.a"},"then":"Given","else":"Blank"}},"properties":{"x":{"@path":"$.properties.items[0]"},"y":{"@path":"$.properties['a.b']"}}}"#,
    r#"{"name":{"@case":{"operator":"upper","value":{"@path":"$.event"}}},"properties":{"l":{"@case":{"operator":"lower","value":{"@path":"$.properties.plan"}}}}}"#,
    r#"{"name":"Replaced","properties":{"r":{"@replace":{"pattern":"a","replacement":"$&","value":{"@path":"$.properties.plan"}}},"n":{"@replace":{"pattern":".","replacement":"","ignorecase":true,"global":false,"value":{"@path":"$.properties.a"}}}}}"#,
    r#"{"name":"Json","properties":{"e":{"@json":{"mode":"encode","value":{"@path":"$.properties"}}},"d":{"@json":{"mode":"decode","value":{"@path":"$.properties.plan"}}}}}"#,
    r#"{"name":"Flat","properties":{"@flatten":{"value":{"@path":"$.properties"},"separator":"_"}},"traits":{"@flatten":{"value":{"@path":"$.context.traits"},"separator":".","omitArrays":true}}}"#,
    r#"{"name":"Each","properties":{"items":{"@arrayPath":["$.properties.items",{"k":{"@path":"$.a"},"v":{"@path":"$.value"}}]}}}"#,
    r#"{"name":"With","properties":{"@transform":{"apply":{"z":{"@path":"$.properties"}},"mapping":{"z":{"@path":"$.z.a"}}}}}"#,
    r#"{"name":"Null","properties":{"@excludeWhenNull":{"@path":"$.properties"}},"anonymousId":{"@path":"$.properties.a"}}"#,
    r#"{"name":{"@literal":"L"},"properties":{"p":{"@path":{"@path":"$.properties.plan"}},"t":{"@template":{"@path":"$.event"}}}}"#,
];

const PEOPLE: &[&str] = &[
    r#"{"userId":{"@path":"$.userId"},"traits":{"@path":"$.traits"}}"#,
    r#"{"userId":{"@path":"$.traits.a"},"traits":{"@path":"$.properties"}}"#,
    r#"{"userId":{"@template":"{{userId}}"},"traits":{"@flatten":{"value":{"@path":"$.traits"},"separator":"-"}}}"#,
];

const INTEGRATIONS: &[&str] = &[
    r#"{}"#,
    r#"{"All":true}"#,
    r#"{"All":false}"#,
    r#"{"all":false}"#,
    r#"{"All":null,"all":false}"#,
    r#"{"heap-web":false}"#,
    r#"{"heap-web":null,"All":false}"#,
    r#"{"All":false,"heap-web":true}"#,
    r#"{"All":false,"heap-web":{"appId":"9"}}"#,
    r#"{"heap-web":0}"#,
    r#"{"heap-web":""}"#,
    r#"{"Heap (Web)":false}"#,
    r#"{"Heap Web (Actions)":false}"#,
    r#"{"actions-heap-web":false}"#,
    r#"{"Heap Web (Actions) trackEvent":false}"#,
    r#"{"heap-web identifyUser":false}"#,
    r#"{"heap-web":true,"Heap Web (Actions) trackEvent":false}"#,
    r#"{"Heap-Web":false}"#,
    r#"null"#,
    r#"false"#,
    r#"true"#,
    r#""All""#,
    r#"[]"#,
    r#"[false]"#,
    r#"0"#,
    r#"{"0":false}"#,
];

const CONSENT: &[&str] = &[
    r#"{"categoryPreferences":{"analytics":true}}"#,
    r#"{"categoryPreferences":{"analytics":false}}"#,
    r#"{"categoryPreferences":{"analytics":"yes","ads":1}}"#,
    r#"{"categoryPreferences":null}"#,
    r#"{"categoryPreferences":{"analytics":{},"ads":[]}}"#,
    r#"{"categoryPreferences":["analytics"]}"#,
    r#"{"categoryPreferences":{"analytics":0,"ads":""}}"#,
    r#""analytics""#,
    r#"true"#,
];

impl Odd {
    pub(super) fn new(seed: u64) -> Odd {
        Odd(seed)
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }

    fn one_in(&mut self, most: u64) -> bool {
        self.below(most) == 0
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        let at = self.below(list.len() as u64);
        list[at as usize]
    }

    pub(super) fn settings(&mut self) -> String {
        let limit = self.of(&["0", "1", "2", "5", "1000"]);
        let numbers = self.of(&["text", "number"]);
        let more = self.of(&[
            "",
            "",
            "",
            r#","consentCategories":["analytics"]"#,
            r#","consentCategories":["analytics","ads"]"#,
            r#","refusedIdentities":["ada","0","😀"]"#,
        ]);
        format!(r#"{{"appId":"11","browserArrayLimit":{limit},"numbers":"{numbers}"{more}}}"#)
    }

    pub(super) fn actions(&mut self) -> String {
        if self.one_in(3) {
            return r#"[{"action":"trackEvent"},{"action":"identifyUser"}]"#.to_owned();
        }
        let mut list = Vec::new();
        for _ in 0..=self.below(3) {
            let trigger = serde_json::to_string(self.of(TRIGGERS)).unwrap();
            let people = self.one_in(3);
            let kind = if people { "identifyUser" } else { "trackEvent" };
            let mapping = self.of(if people { PEOPLE } else { MAPPINGS });
            let enabled = !self.one_in(10);
            list.push(format!(
                r#"{{"action":"{kind}","trigger":{trigger},"mapping":{mapping},"enabled":{enabled}}}"#
            ));
        }
        format!("[{}]", list.join(","))
    }

    pub(super) fn event(&mut self) -> String {
        let mut members = Vec::new();
        let kind = self.of(&["track", "track", "track", "identify", "identify", "page", "group"]);
        members.push(format!(r#""type":"{kind}","messageId":"m-1""#));
        for (key, odd) in [("event", 8), ("userId", 4), ("anonymousId", 4)] {
            let value = match self.below(odd) {
                0 => self.value(2),
                1 => continue,
                _ => self.text(),
            };
            members.push(format!("\"{key}\":{value}"));
        }
        for key in ["properties", "traits"] {
            let value = match self.below(8) {
                0 => self.value(3),
                1 => continue,
                _ => self.object(4),
            };
            members.push(format!("\"{key}\":{value}"));
        }
        let (traits, consent) = (self.object(3), self.of(CONSENT));
        members.push(format!(r#""context":{{"traits":{traits},"consent":{consent}}}"#));
        if self.one_in(3) {
            members.push(format!("\"integrations\":{}", self.of(INTEGRATIONS)));
        }
        format!("{{{}}}", members.join(","))
    }

    fn value(&mut self, depth: u64) -> String {
        match self.below(if depth == 0 { 6 } else { 10 }) {
            0 => "null".to_owned(),
            1 => self.of(&["true", "false"]).to_owned(),
            2 | 3 => self.of(NUMBERS).to_owned(),
            4 | 5 => self.text(),
            6 if self.one_in(40) => self.deep(),
            6 | 7 => self.list(depth - 1),
            _ => self.object(depth - 1),
        }
    }

    fn text(&mut self) -> String {
        match self.below(60) {
            0 => format!("\"{}\"", "é".repeat(254)),
            1 => format!("\"{}\"", "x".repeat(255)),
            2 => format!("\"{}\"", "😀".repeat(128)),
            _ => format!("\"{}\"", self.of(TEXTS)),
        }
    }

    fn list(&mut self, depth: u64) -> String {
        let items = if self.one_in(60) { 300 } else { self.below(5) };
        let items: Vec<String> = (0..items).map(|_| self.value(depth.min(2))).collect();
        format!("[{}]", items.join(","))
    }

    /// The same key may come up twice.
    fn object(&mut self, depth: u64) -> String {
        let mut text = String::from("{");
        for at in 0..self.below(7) {
            let comma = if at == 0 { "" } else { "," };
            let (key, value) = (self.of(KEYS), self.value(depth));
            write!(text, "{comma}\"{key}\":{value}").unwrap();
        }
        text + "}"
    }

    fn deep(&mut self) -> String {
        let (open, close) = if self.one_in(2) { ("[", "]") } else { ("{\"a\":", "}") };
        let inner = self.of(NUMBERS);
        format!("{}{inner}{}", open.repeat(200), close.repeat(200))
    }
}
