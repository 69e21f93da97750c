//! Chat templates that would not end, or fill the memory.

use std::time::{Duration, Instant};
use tillage_protocol::Blame;
use tillage_text::row::message;
use tillage_text::{ChatTemplate, Clock};

/// What a template comes to: its text, or the code of its error.
fn outcome(source: &str) -> Result<String, String> {
    let begun = Instant::now();
    let chat = ChatTemplate::new(source, Vec::new(), Clock::Fixed(Default::default()));
    let messages = [message("user", "Hi"), message("assistant", "Hello.")];
    let rendered = chat.and_then(|chat| chat.render(&messages, None, false));
    // Generous, for a busy machine in a debug build; without limits these take hours or all memory.
    assert!(begun.elapsed() < Duration::from_secs(60), "{source}: {:?}", begun.elapsed());
    rendered.map(|r| r.text).map_err(|e| {
        assert_eq!(e.blame, Blame::User, "{e:?}");
        e.code
    })
}

/// A loop of 100,000 rounds, the most that `range` gives.
fn often(body: &str) -> String {
    format!("{{% set ns = namespace(x='ab', l=[], s=0) %}}{{% for i in range(100000) %}}{body}{{% endfor %}}")
}

#[test]
fn loops_end() {
    for source in [
        "{% for i in range(1000000000) %}x{% endfor %}".to_owned(),
        "{% for i in range(0, 1000000000, 2) %}x{% endfor %}".to_owned(),
    ] {
        assert_eq!(outcome(&source), Err("template_failed".into()), "{source}");
    }
    let nested = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}";
    assert_eq!(outcome(nested), Err("template_endless".into()));
    let called = "{% macro f() %}{% for a in range(100000) %}{% endfor %}{% endmacro %}{% for a in range(100000) %}{{ f() }}{% endfor %}";
    assert_eq!(outcome(called), Err("template_endless".into()));
}

/// Found by the fuzzer: the end of a tag that shares a character with its beginning.
#[test]
fn a_tag_of_three_characters_is_an_error() {
    for source in ["{%}", "{{ 'a' }}{%}b", "{%}{% generation %}a{% endgeneration %}", "{%-}", "{%", "{%%}"] {
        assert_eq!(outcome(source), Err("bad_chat_template".into()), "{source}");
    }
}

#[test]
fn recursion_ends() {
    for source in [
        "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
        "{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% for m in messages recursive %}{{ loop(messages) }}{% endfor %}",
        "{% include 'chat_template' %}",
        "{% extends 'chat_template' %}",
    ] {
        assert_eq!(outcome(source), Err("template_failed".into()), "{source}");
    }
    let deep = format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000));
    assert_eq!(outcome(&format!("{{{{ {deep} }}}}")), Err("bad_chat_template".into()));
    let lists = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    assert_eq!(outcome(&format!("{{{{ {lists} }}}}")), Err("bad_chat_template".into()));
    let blocks = format!("{}{}", "{% if true %}".repeat(5_000), "{% endif %}".repeat(5_000));
    assert_eq!(outcome(&blocks), Err("bad_chat_template".into()));
}

#[test]
fn texts_do_not_grow_without_bound() {
    let large = "{% set big = 'a' * n %}";
    let keys = (0..1000).map(|i| format!("'{i}': i")).collect::<Vec<_>>().join(", ");
    for source in [
        // Doubling, by every way that there is.
        often("{% set ns.x = ns.x ~ ns.x %}"),
        often("{% set ns.x = ns.x + ns.x %}"),
        often("{% set ns.x = ns.x * 2 %}"),
        often("{% set ns.x = '%s%s'|format(ns.x, ns.x) %}"),
        often("{% set ns.x = '{}{}'.format(ns.x, ns.x) %}"),
        often("{% set ns.x = [ns.x, ns.x]|join %}"),
        often("{% set ns.x = ''.join([ns.x, ns.x]) %}"),
        often("{% set ns.x = ns.x|replace('a', 'aa') %}"),
        often("{% set ns.x = ns.x.replace('a', 'aa') %}"),
        often("{% set both %}{{ ns.x }}{{ ns.x }}{% endset %}{% set ns.x = both %}"),
        often("{% set ns.x = ns.x|tojson %}"),
        format!(
            "{{% macro f(x) %}}{{{{ x }}}}{{{{ x }}}}{{% endmacro %}}{}",
            often("{% set ns.x = f(ns.x) %}")
        ),
        // Much at once.
        "{% set n = 1000000000 %}{{ 'a' * n }}".into(),
        "{% set n = 1000000000 %}{{ [1] * n }}".into(),
        "{% set n = 1000000000 %}{{ 'a\nb'|indent(n) }}".into(),
        "{% set n = 1000000000 %}{{ 'a\nb'|indent(width=n) }}".into(),
        "{% set n = 1000000000000 %}{{ [1]|tojson(indent=n) }}".into(),
        "{{ '%1000000000d'|format(1) }}".into(),
        "{{ '{:1000000000}'.format(1) }}".into(),
        "{% set n = 1000000000 %}{{ '%*d'|format(n, 1) }}".into(),
        "{% set n = 1000000000 %}{{ [1]|batch(n, 0)|list }}".into(),
        "{% set n = 1000000000 %}{{ [1]|slice(n)|list }}".into(),
        format!("{{% set n = 30000000 %}}{large}{{{{ big|replace('a', big) }}}}"),
        format!("{{% set n = 30000000 %}}{large}{{{{ big|list|length }}}}"),
        format!("{{% set n = 30000000 %}}{large}{{{{ big.join([1, 2, 3, 4, 5]) }}}}"),
        format!("{{% set n = 30000000 %}}{large}{{{{ [big, big, big, big]|join(big) }}}}"),
        format!("{{% set n = 30000000 %}}{large}{{{{ big.replace('a', big) }}}}"),
        format!("{{% set n = 30000000 %}}{large}{{{{ big.join(range(100000)) }}}}"),
        format!("{{% set n = 30000000 %}}{large}{{{{ range(1000)|list|tojson(separators=[big, ':']) }}}}"),
        format!("{{% set n = 30000000 %}}{large}{{{{ {{{keys}}}|tojson(separators=[',', big]) }}}}"),
        // Written, a piece at a time.
        format!("{{% for a in range(100000) %}}{}{{% endfor %}}", "x".repeat(10_000)),
        format!(
            "{{% set t %}}{{% for a in range(100000) %}}{}{{% endfor %}}{{% endset %}}",
            "x".repeat(10_000)
        ),
    ] {
        assert_eq!(outcome(&source), Err("template_too_large".into()), "{source:.200}");
    }
}

#[test]
fn lists_and_maps_do_not_grow_without_bound() {
    for source in [
        often("{% set ns.l = [ns.l, ns.l] %}"),
        often("{% set ns.l = [ns.l] %}"),
        often("{% set ns.l = {'a': ns.l} %}"),
        often("{% set ns.l = (ns.l, ns.l) %}"),
        often("{% set ns.l = ns.l + ns.l + [1] %}"),
        often("{% set ns.l = ns.l * 2 + [1] %}"),
        often("{% set ns.l = [ns.l]|list + [ns.l]|list %}"),
    ] {
        assert_eq!(outcome(&source), Err("template_too_large".into()), "{source}");
    }
    // Shared branches make a comparison of a few instructions take for ever.
    let twins =
        often("{% set ns.l = [ns.l, ns.l] %}{% set ns.x = [ns.x, ns.x] %}{% if ns.l == ns.x %}{% endif %}");
    assert_eq!(outcome(&twins), Err("template_too_large".into()));
    // So do long texts that differ in their last letter.
    let texts = "{% set n = 10000000 %}{% set a = 'a' * n ~ 'b' %}{% set c = 'a' * n ~ 'c' %}";
    let source = format!("{texts}{}", often("{% if a == c %}{% endif %}"));
    assert_eq!(outcome(&source), Err("template_too_large".into()));
    for itself in ["ns", "[ns]", "{'a': ns}", "namespace(y=ns)"] {
        let source = format!("{{% set ns = namespace() %}}{{% set ns.x = {itself} %}}{{{{ ns }}}}");
        assert_eq!(outcome(&source), Err("template_failed".into()), "{source}");
    }
}

#[test]
fn constants_are_bounded_before_they_are_computed() {
    let sum = format!("{{{{ {} }}}}", vec!["'a' * 90000000"; 200].join(" ~ "));
    for source in [
        "{{ 'a' * 1000000000 }}",
        "{{ 1000000000 * 'a' }}",
        "{{ [0] * 50000000 }}",
        "{{ 'a' * 1000 * 1000 * 100 }}",
        "{{ 'a' * 10 ** 8 }}",
        "{{ ('a' ~ 'b') * (10000 * 10000) }}",
        "{% if 'a' * 90000000 == 'b' %}{% endif %}",
        "{% macro f(x='a' * 90000000) %}{% endmacro %}",
        "{{ messages[('a' * 90000000)] }}",
        &sum,
    ] {
        assert_eq!(outcome(source), Err("bad_chat_template".into()), "{source:.100}");
    }
    assert_eq!(outcome("{{ 'ab' * 3 }}{{ 2 * 3 }}{{ 2 ** 10 }}"), Ok("ababab61024".into()));
}

#[test]
fn constants_are_bounded_wherever_they_stand() {
    let with = |place: &str, constant: &str| place.replace("HERE", constant);
    for place in [
        "{{ HERE }}",
        "{% set x = HERE %}",
        "{% set x | replace('a', HERE) %}b{% endset %}",
        "{% set x %}{{ HERE }}{% endset %}",
        "{% with x = HERE %}{% endwith %}",
        "{% with x = 1 %}{{ HERE }}{% endwith %}",
        "{% for i in HERE %}{% endfor %}",
        "{% for i in messages if HERE %}{% endfor %}",
        "{% for i in messages %}{{ HERE }}{% endfor %}",
        "{% for i in messages %}{% else %}{{ HERE }}{% endfor %}",
        "{% if HERE %}{% endif %}",
        "{% if false %}{{ HERE }}{% endif %}",
        "{% if false %}{% elif HERE %}{% endif %}",
        "{% if false %}{% else %}{{ HERE }}{% endif %}",
        "{% filter replace('a', HERE) %}b{% endfilter %}",
        "{% filter upper %}{{ HERE }}{% endfilter %}",
        "{% macro f(x=HERE) %}{% endmacro %}",
        "{% macro f() %}{{ HERE }}{% endmacro %}",
        "{% macro f(x) %}{% endmacro %}{% call f(HERE) %}{% endcall %}",
        "{% macro f() %}{% endmacro %}{% call f() %}{{ HERE }}{% endcall %}",
        "{% do f(HERE) %}",
        "{% block b %}{{ HERE }}{% endblock %}",
        "{% autoescape HERE %}{% endautoescape %}",
        "{% autoescape false %}{{ HERE }}{% endautoescape %}",
        "{% include HERE %}",
        "{% extends HERE %}",
        "{% import HERE as x %}",
        "{% from HERE import x %}",
        "{{ not HERE }}",
        "{{ 'b' ~ HERE ~ 'c' }}",
        "{{ HERE == 'b' }}",
        "{{ 'b' == HERE }}",
        "{{ 'b' in HERE }}",
        "{{ 'a' < HERE < 'c' }}",
        "{{ HERE < 'b' < 'c' }}",
        "{{ 1 if HERE else 2 }}",
        "{{ HERE if true else 2 }}",
        "{{ 1 if true else HERE }}",
        "{{ HERE | upper }}",
        "{{ 'b' | replace('a', HERE) }}",
        "{{ HERE is string }}",
        "{{ 'b' is sameas(HERE) }}",
        "{{ (HERE).b }}",
        "{{ (HERE)[0] }}",
        "{{ messages[HERE] }}",
        "{{ (HERE)[1:] }}",
        "{{ messages[(HERE):] }}",
        "{{ messages[:(HERE)] }}",
        "{{ messages[::(HERE)] }}",
        "{{ f(HERE) }}",
        "{{ f(x=HERE) }}",
        "{{ f(*[HERE]) }}",
        "{{ f(**{'x': HERE}) }}",
        "{{ [1, HERE] }}",
        "{{ (1, HERE) }}",
        "{{ {'a': HERE} }}",
        "{{ {HERE: 1} }}",
    ] {
        let new = |source: &str| ChatTemplate::new(source, Vec::new(), Clock::Fixed(Default::default()));
        let small = new(&with(place, "('a' * 3)"));
        assert!(small.is_ok(), "{place}: {small:?}");
        let Err(error) = new(&with(place, "('a' * 90000000)")) else { panic!("{place} is compiled") };
        assert!(
            error.code == "bad_chat_template" && error.message.contains("constant"),
            "{place}: {error:?}"
        );
    }
}

#[test]
fn what_templates_do_every_day_stays_what_it_was() {
    for (source, text) in [
        ("{{ 1 + 2 }} {{ 1.5 + 1 }} {{ true + 1 }} {{ 2 * 1.5 }} {{ 'a' + 'b' }}", "3 2.5 2 3.0 ab"),
        ("{% set n = 2 %}{{ n + 2 }} {{ n * 2.5 }} {{ 'ab' * n }} {{ n * 'ab' }} {{ 'a' ~ n ~ none }}", "4 5.0 abab abab a2None"),
        ("{% set l = [1] + [2, 'x'] %}{{ l }} {{ l * 2 }} {{ (l + l)|length }}", "[1, 2, 'x'] [1, 2, 'x', 1, 2, 'x'] 6"),
        ("{{ messages[0].role ~ '|' ~ messages|length }}", "user|2"),
        ("{{ messages|map(attribute='role')|join(', ') }}", "user, assistant"),
        ("{{ ' '.join(['a', 'b']) }}{{ 'x,y'.split(',') }}{{ 'aXa'.replace('X', '-') }}", "a b['x', 'y']a-a"),
        ("{{ 'a\nb'|indent(2) }}{{ '%s-%03d'|format('q', 7) }}{{ '{}'.format(3) }}", "a\n  bq-0073"),
        ("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}", "2"),
        ("{{ [1, 2, 3]|batch(2)|list }}{{ {'a': [1]}|tojson(indent=1) }}", "[[1, 2], [3]]{\n \"a\": [\n  1\n ]\n}"),
        ("{{ 'a\nb'|indent(width=2) }}{{ 'a\nb'|indent(1, first=true) }}", "a\n  b a\n b"),
        ("{{ ['a', 'b']|join(d=', ') }}", "a, b"),
        ("{{ undefined_thing }}{{ undefined_thing ~ 'x' }}", "x"),
        ("{% if 'a' in 'cat' and 'user' == messages[0].role and 1 < 2 < 3 %}yes{% endif %}", "yes"),
        ("{% macro f(x) %}<{{ x }}>{% endmacro %}{{ f('a') + f('b') }}", "<a><b>"),
    ] {
        assert_eq!(outcome(source), Ok(text.into()), "{source}");
    }
    assert_eq!(outcome("{{ 1 + 'a' }}"), Err("template_failed".into()));
    assert_eq!(outcome("{{ 'a' * 'b' }}"), Err("template_failed".into()));
    assert_eq!(outcome("{{ raise_exception('no') }}"), Err("template_refused".into()));
}

#[test]
fn a_long_conversation_has_room() {
    // Three thousand turns, with a text that is put together turn by turn.
    let source = "{% set ns = namespace(all='') %}{% for m in messages %}{% set ns.all = ns.all + m.content %}{{ m.role ~ ': ' ~ m.content }}\n{% endfor %}{{ ns.all|length }}";
    let chat = ChatTemplate::new(source, Vec::new(), Clock::Fixed(Default::default())).unwrap();
    let messages: Vec<_> = (0..3000).map(|i| message("user", &format!("{i:050}"))).collect();
    let text = chat.render(&messages, None, false).unwrap().text;
    assert!(text.ends_with("\n150000"), "{}", &text[text.len() - 20..]);
}

#[test]
fn an_error_names_its_line() {
    for (source, line) in [
        ("a\nb\n{{ 3|items }}\nc", 3),
        ("{{ 'a' ~ 'b' }}\n{{ 1 + 'a' }}\n{{ 2 }}", 2),
        ("\n\n\n{{ nothing() }}", 4),
    ] {
        let chat = ChatTemplate::new(source, Vec::new(), Clock::Fixed(Default::default())).unwrap();
        let error = chat.render(&[message("user", "Hi")], None, false).unwrap_err();
        assert_eq!((error.code.as_str(), error.line), ("template_failed", Some(line)), "{error:?}");
    }
}
