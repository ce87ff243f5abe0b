"""Texts that some program takes for something else, where YAML has them without quotes."""

OLD_BOOLEANS = ["y", "Y", "n", "N", "yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF"]
BOOLEANS_AND_NULL = ["true", "True", "TRUE", "false", "FALSE", "null", "Null", "NULL", "~", ""]
NUMBERS = [
    *("0", "1", "-1", "+1", "00", "08", "017", "0o14", "0O14", "0x1F", "0X1f", "0b11", "-0b11", "0b-1"),
    *("0o-7", "1_000", "0_8", "0x_1", "_1", "1e3", "1E3", "1e+3", "1e-3", "1234e56", "1e400", "1e-400"),
    *("1.", "1.0", "-0.0", ".5", "+.5", "-.5", ".5_5", "5._5", "1.5e3", ".inf", ".Inf", "-.INF", "+.inf"),
    *(".nan", ".NaN", "nan", "inf", "Infinity", "0x", "0b", "0o", "1e", "e1", "1n", "9223372036854775807"),
    *("9223372036854775808", "18446744073709551615", "18446744073709551616"),
    *("123456789012345678901234567890", "1:30", "190:20:30", "190:20:30.15", "1:30:00", "12,345", "1.2.3"),
    "10.0.0.1",
]
DATES = [
    *("2001-12-14", "2001-1-2", "2001-13-14", "2001-02-30", "2001-12-14T21:59:43.10-05:00", "2001-12-14t21:59:43Z"),
    *("2001-12-14 21:59:43.10", "2001-12-14 21:59:43.10 -5", "2001-12-14  1:2:3,5", "0000-02-29", "12:30", "2026-11"),
]
SYNTAX = [
    *(
        "=",
        "<<",
        "-",
        "?",
        ":",
        "- a",
        "? a",
        ": a",
        "a:",
        "a: b",
        "a #b",
        "#a",
        "&a",
        "*a",
        "!a",
        "!!int 3",
        "%a",
        "@a",
        "`a",
    ),
    *(
        "[a]",
        "{a}",
        "a, b",
        "a]",
        "|",
        ">",
        "'a'",
        '"a"',
        "a'b",
        "---",
        "...",
        "--- a",
        "a\\b",
        "$(A)",
        "{{ .Values.a }}",
    ),
]
SPACES = [
    " a",
    "a ",
    " ",
    "a\tb",
    "\ta",
    "a\n",
    "\na",
    "a\n\n",
    "\n",
    "a\nb",
    "a\n b\n",
    " a\nb",
    "a \nb",
    "a\n\nb\n",
    "a\r\nb",
    "a\rb",
]
CHARACTERS = [
    *(
        "a\u2028b",
        "a\u2029b",
        "a\u0085b",
        "\ufeffa",
        "a\u00a0b",
        "a\u200bb",
        "a\x00b",
        "a\x07b",
        "a\x1bb",
        "a\x7fb",
        "a\x9fb",
    ),
    *("a\ufffeb", "\U0001f600", "Grüße", "\u0661\u0662", "\u202eab", "\ud7ff", "\ue000", "\U0010ffff"),
]
TEXTS = [*OLD_BOOLEANS, *BOOLEANS_AND_NULL, *NUMBERS, *DATES, *SYNTAX, *SPACES, *CHARACTERS]

PLAIN = [*OLD_BOOLEANS, *BOOLEANS_AND_NULL, *NUMBERS, *DATES, "=", "a", "0.34.4", "1Gi", "100m", "ollama/ollama:0.34.4"]
"""Scalars for a table of what each program reads, where they stand without quotes."""
