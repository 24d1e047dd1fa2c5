//! Values: JSON in and out.

use heapline_action::value::{MAX_DEPTH, Number, Value, mend_surrogates};
use proptest::prelude::*;

fn round(json: &str) -> String {
    Value::parse(json).unwrap().to_json()
}

#[test]
fn json_is_written_as_javascript_writes_it() {
    let cases = [
        (r#" { "b" : 1.0, "a" : [ ] } "#, r#"{"b":1,"a":[]}"#),
        (
            "[1e21,1e-7,-0,-0.0,0.1,1e20,123456789012345680000]",
            "[1e+21,1e-7,0,0,0.1,100000000000000000000,123456789012345680000]",
        ),
        (
            "[9007199254740993,18446744073709551615,-9223372036854775808]",
            "[9007199254740993,18446744073709551615,-9223372036854775808]",
        ),
        (
            "[0.000001,1.5e-5,1e16,1.7976931348623157e308,5e-324]",
            "[0.000001,0.000015,10000000000000000,1.7976931348623157e+308,5e-324]",
        ),
        (
            r#""\u00e9\ud83d\ude00\/\u0001\b\f\n\r\t\u007f\u2028""#,
            "\"é😀/\\u0001\\b\\f\\n\\r\\t\u{7f}\u{2028}\"",
        ),
        (r#"{"a":1,"b":2,"a":3}"#, r#"{"a":3,"b":2}"#),
        (r#"{"2":0,"1":0}"#, r#"{"2":0,"1":0}"#),
    ];
    for (json, wanted) in cases {
        assert_eq!(round(json), wanted);
    }
}

#[test]
fn what_is_no_json_is_refused_with_its_place() {
    let error = |json: &str| Value::parse(json).unwrap_err().to_string();
    assert_eq!(error("{\"a\":\n nul}"), "expected ident at line 2, column 5");
    assert_eq!(error("{} x"), "trailing characters at line 1, column 4");
    assert!(Value::parse("\"\\ud800\"").is_err(), "half of a surrogate pair");
    assert!(Value::parse("").is_err() && Value::parse("[1,]").is_err());
}

#[test]
fn nesting_has_a_limit() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(Value::parse(&nested(MAX_DEPTH)).is_ok());
    let error = Value::parse(&nested(MAX_DEPTH + 1)).unwrap_err();
    assert!(error.message.contains("nested deeper than 128 levels"), "{error}");
    assert!(Value::parse_deep("[[],{}]", 2).is_ok() && Value::parse_deep("[[{}]]", 2).is_err());
    let brackets_in_text = format!("\"{}\"", "[".repeat(1_000));
    assert!(Value::parse(&brackets_in_text).is_ok());
}

#[test]
fn a_hundred_thousand_levels_are_read_where_the_stack_is_given() {
    let read = || {
        let json = format!("{}{}", r#"{"a":["#.repeat(50_000), "]}".repeat(50_000));
        let value = Value::parse_deep(&json, 100_000).unwrap();
        assert_eq!(value.to_json(), json);
    };
    let thread = std::thread::Builder::new().stack_size(512 << 20).spawn(read).unwrap();
    thread.join().unwrap();
}

#[test]
fn a_hundred_thousand_keys_are_read_in_linear_time() {
    let members: Vec<String> = (0..100_000).map(|n| format!(r#""k{n}":{n}"#)).collect();
    let json = format!("{{{},\"k5\":0}}", members.join(","));
    let value = Value::parse(&json).unwrap();
    let object = value.as_object().unwrap();
    assert_eq!(object.len(), 100_000);
    assert_eq!(object.get("k5"), Some(&Value::from(0)));
    assert_eq!(value.clone(), value);
}

#[test]
fn half_surrogate_pairs_are_mended() {
    let mended = |json: &str| mend_surrogates(json).unwrap_or_else(|| "untouched".to_owned());
    let cases = [
        (r#""\ud800""#, r#""\uFFFD""#),
        (r#""\uDC00x\uD83D""#, r#""\uFFFDx\uFFFD""#),
        (r#""\ud83d\ude00""#, "untouched"),
        (r#""\ud83d\ud83d\ude00""#, r#""\uFFFD\ud83d\ude00""#),
        (r#""\\ud800""#, "untouched"),
        (r#""\\\ud800\n""#, r#""\\\uFFFD\n""#),
        (r#""\ude00\ud83d""#, r#""\uFFFD\uFFFD""#),
        (r#""é\u00e9\u12""#, "untouched"),
        ("\\", "untouched"),
    ];
    for (json, wanted) in cases {
        assert_eq!(mended(json), wanted, "{json}");
    }
}

#[test]
fn integers_equal_doubles_of_the_same_value() {
    let number = |json| Value::parse(json).unwrap();
    assert_eq!(number("10"), number("10.0"));
    assert_eq!(number("1e1"), number("10"));
    assert_ne!(number("9223372036854775807"), number("9223372036854775808"));
    assert_ne!(number("9007199254740993"), number("9007199254740992"));
    assert_ne!(number("1"), number("\"1\""));
}

proptest! {
    #![proptest_config(crate::laws::config(1_000))]

    #[test]
    fn numbers_are_written_as_their_text(n in any::<f64>().prop_filter("finite", |n| n.is_finite())) {
        prop_assert_eq!(Value::Number(Number::Float(n)).to_json(), Number::Float(n).to_text());
        prop_assert_eq!(Number::from(n).as_f64(), n);
    }

    #[test]
    fn short_decimals_are_written_as_their_text(digits in -99_999_i64..99_999, exponent in -12_i32..24) {
        let n: f64 = format!("{digits}e{exponent}").parse().unwrap();
        prop_assert_eq!(Value::Number(Number::Float(n)).to_json(), Number::Float(n).to_text());
    }

    #[test]
    fn mended_text_parses_if_escapes_were_all_that_was_wrong(
        parts in prop::collection::vec(prop::sample::select(vec![
            "\\ud800", "\\udbff", "\\udc00", "\\udfff", "\\ud83d\\ude00", "a", "\\\\", "\\n", "é", "\\u00e9",
        ]), 0..8),
    ) {
        let json = format!("\"{}\"", parts.concat());
        let mended = mend_surrogates(&json);
        prop_assert!(Value::parse(mended.as_deref().unwrap_or(&json)).is_ok());
        prop_assert_eq!(mended.is_some(), Value::parse(&json).is_err());
    }
}
