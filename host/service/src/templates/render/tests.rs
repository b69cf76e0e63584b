use proptest::prelude::*;

use super::*;

const NAMES: [&str; 4] = ["what", "style", "n", "sure"];

fn values() -> Vec<(&'static str, Value)> {
    let text = |text: &str| Value::Text(text.to_owned());
    vec![
        ("what", text("a cat")),
        ("style", text("")),
        ("n", Value::Number(3.0)),
        ("sure", Value::Boolean(true)),
    ]
}

fn rendered(source: &str) -> Result<String, PromptFault> {
    Prompt::compile(source, &NAMES)
        .unwrap_or_else(|why| panic!("{source}: {why}"))
        .render(&values(), "own words")
}

#[test]
fn a_prompt_is_filled_in_with_variables_conditions_loops_and_filters() {
    let source = "Paint {{ what|upper }}{% if style %} in {{ style }}{% elif sure and n > 2 %} boldly{% endif %}.\n\
        {% for i in range(n) %}\n{{ loop.index }}{% if not loop.last %}, {% endif %}\n{% endfor %}\n\
        {{ what[:3] }} {{ \"x\" if \"cat\" in what else \"y\" }} {{ n }} {% if style in [\"\", \"oil\"] %}plain{% endif %} {{ text }}";
    assert_eq!(rendered(source).expect("filled in"), "Paint A CAT boldly.\n1, 2, 3a c x 3 plain own words");
}

#[test]
fn what_a_caller_sends_is_data_and_never_a_template() {
    let prompt = Prompt::compile("<{{ what }}|{{ text }}>", &NAMES).expect("a prompt");
    let attack = "{{ 7 }}{% for i in range(9) %}x{% endfor %}{# gone #}<b>&";
    let filled = prompt.render(&[("what", Value::Text(attack.to_owned()))], "{{ what }}").expect("filled in");
    assert_eq!(filled, format!("<{attack}|{{{{ what }}}}>"));
}

#[test]
fn what_is_no_prompt_is_refused_with_its_line() {
    for (source, line, word) in [
        ("a\n{% include \"prompt\" %}", 2, "include"),
        ("{% import \"x\" as x %}", 1, "import"),
        ("{% from \"x\" import y %}", 1, "import"),
        ("{% extends \"x\" %}", 1, "extends"),
        ("{% block x %}{% endblock %}", 1, "block"),
        ("{% macro m() %}{% endmacro %}", 1, "macro"),
        ("{% set x = what %}", 1, "set"),
        ("{% set x %}{{ what }}{% endset %}", 1, "set"),
        ("{% with x = what %}{% endwith %}", 1, "with"),
        ("{% filter upper %}{% endfilter %}", 1, "filter"),
        ("\n\n{{ what ~ what }}", 3, "join"),
        ("{{ what * 1000000 }}", 1, "calculate"),
        ("{{ n + 1 }}", 1, "calculate"),
        ("{{ 2 ** 9 }}", 1, "calculate"),
        ("{{ what|replace(\"a\", what) }}", 1, "filters"),
        ("{{ what|trim(what) }}", 1, "no arguments"),
        ("{{ range(3) }}", 1, "called"),
        ("{{ what.upper() }}", 1, "called"),
        ("{{ self.x() }}", 1, "called"),
        ("{{ what.__class__ }}", 1, "members"),
        ("{{ what[0] }}", 1, "items"),
        ("{{ [what, what] }}", 1, "list"),
        ("{{ {\"a\": what} }}", 1, "list"),
        ("{{ what is defined }}", 1, "not needed"),
        ("{{ other }}", 1, "not among the variables"),
        ("{{ loop.index }}", 1, "not among the variables"),
        ("{% for x in [what] %}{% endfor %}", 1, "constants"),
        ("{% for x in what %}{% endfor %}", 1, "constants"),
        ("{% for x in range(3) recursive %}{% endfor %}", 1, "recursive"),
        ("{{ what if sure }}", 1, "else"),
        ("{% if what %}\nno end", 2, ""),
        ("{{ what", 1, ""),
        ("{% nonsense %}", 1, "nonsense"),
    ] {
        let refused = Prompt::compile(source, &NAMES).expect_err(source);
        assert!(refused.message.contains(word), "{source}: {refused}");
        assert_eq!(refused.line, line, "{source}: {refused}");
    }
}

#[test]
fn sources_are_bounded_in_bytes_tags_and_depth() {
    let long = "x".repeat(Template::SOURCE_BYTES_MAX);
    assert!(Prompt::compile(&long, &NAMES).is_ok());
    let too_long = format!("{long}x");
    let expression = format!("{{{{ {}what }}}}", "not ".repeat(300));
    let chain = format!("{{{{ what{} }}}}", "|upper".repeat(300));
    let branches = format!("{{% if sure %}}{}{{% endif %}}", "{% elif sure %}".repeat(400));
    let nested = format!("{}{}", "{% if sure %}".repeat(149), "{% endif %}".repeat(149));
    let tags = "{{n}}".repeat(401);
    for source in [too_long, expression, chain, branches, nested, tags] {
        let refused = Prompt::compile(&source, &NAMES);
        assert!(refused.is_err(), "{}…", &source[..20]);
    }
}

#[test]
fn a_prompt_that_loops_for_ever_ends_with_a_typed_error() {
    let endless = "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}";
    assert_eq!(rendered(endless), Err(PromptFault::Endless));
    let too_far = "{% for i in range(1000000000) %}{% endfor %}";
    assert_eq!(rendered(too_far), Err(PromptFault::Broken));
}

#[test]
fn a_prompt_that_grows_ends_with_a_typed_error() {
    let prompt =
        Prompt::compile("{% for i in range(1000) %}{{ what }}{% endfor %}", &NAMES).expect("a prompt");
    let long = Value::Text("x".repeat(Template::VARIABLE_CHARACTERS_MAX as usize));
    assert_eq!(prompt.render(&[("what", long)], ""), Err(PromptFault::TooLong { max: PROMPT_BYTES_MAX }));
}

#[test]
fn a_variable_without_a_value_is_an_error_and_not_an_empty_text() {
    let prompt = Prompt::compile("{{ what }}", &NAMES).expect("a prompt");
    assert_eq!(prompt.render(&[], ""), Err(PromptFault::Broken));
}

proptest! {
    #[test]
    fn arbitrary_sources_never_panic_and_end(source in "([a-z {}%|~*()\\[\\]\"\n.=<>-]|\\{% |%\\}|\\{\\{ | \\}\\}|for i in range\\(9\\)|endfor|if |endif|what|n){0,60}") {
        if let Ok(prompt) = Prompt::compile(&source, &NAMES) {
            let _filled_in_or_refused = prompt.render(&values(), "own words");
        }
    }

    #[test]
    fn arbitrary_values_come_out_as_they_are(value in ".*") {
        let prompt = Prompt::compile("{{ what }}", &NAMES).expect("a prompt");
        prop_assert_eq!(prompt.render(&[("what", Value::Text(value.clone()))], ""), Ok(value));
    }
}
