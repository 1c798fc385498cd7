//! JSON with one way to write each value: RFC 8785 (JCS), as far as it is needed here.
//!
//! Member names are ASCII and numbers are whole here, so that sorting by bytes and writing digits is what RFC 8785 asks for.
//! Written by hand, because the order of serde_json's objects depends on how it was built.
//!
//! **Invariant:** equal values give equal bytes.

use serde_json::Value;

/// A value.
pub fn text(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(&str, String)> =
                members.iter().map(|(name, value)| (name.as_str(), text(value))).collect();
            object(&mut members)
        }
        Value::Array(items) => format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(",")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

/// An object of members that are written already. Sorts them.
pub fn object(members: &mut [(&str, String)]) -> String {
    members.sort_unstable_by(|one, other| one.0.cmp(other.0));
    let members: Vec<String> =
        members.iter().map(|(name, value)| format!("{}:{value}", Value::from(*name))).collect();
    format!("{{{}}}", members.join(","))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_sorted_at_every_depth_and_items_keep_their_order() {
        let value = json!({"b": [2, 1, {"z": null, "a": true}], "a": "x", "aa": {}});
        assert_eq!(text(&value), r#"{"a":"x","aa":{},"b":[2,1,{"a":true,"z":null}]}"#);
    }

    #[test]
    fn text_is_escaped_as_rfc_8785_says() {
        assert_eq!(text(&json!("\u{8}\t\n\u{c}\r\"\\/\u{1f}é€")), "\"\\b\\t\\n\\f\\r\\\"\\\\/\\u001fé€\"");
    }
}
