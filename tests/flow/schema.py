#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""schema.py SCHEMA DOCUMENT: checks a JSON document against a JSON schema (the keywords below; any other is an error, so that nothing goes
unchecked). Prints what does not hold.
"""
import json
import re
import sys

IGNORED = {"$schema", "$id", "$comment", "$defs", "definitions", "title", "description", "examples", "default"}
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


class Checker:
    def __init__(self, root):
        self.root, self.errors = root, []

    def is_type(self, value, name):
        if name == "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        if name == "number":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        return isinstance(value, TYPES[name])

    def holds(self, schema, value):
        before, self.errors = self.errors, []
        self.check(schema, value, "")
        good, self.errors = not self.errors, before
        return good

    def check(self, schema, value, at):
        if schema is True:
            return
        if schema is False:
            self.errors.append(f"{at}: nothing is allowed here")
            return
        for keyword, rule in schema.items():
            if keyword in IGNORED:
                continue
            handler = getattr(self, "on_" + keyword.replace("$", ""), None)
            if not handler:
                sys.exit(f"schema.py: the keyword {keyword} is not known")
            if handler(rule, value, at, schema) is False:
                self.errors.append(f"{at or '/'}: {json.dumps(value)[:80]} is not {keyword} {json.dumps(rule)[:80]}")

    def on_ref(self, rule, value, at, _):
        target = self.root
        for part in rule.removeprefix("#/").split("/"):
            target = target[part]
        self.check(target, value, at)

    def on_type(self, rule, value, _at, _):
        return any(self.is_type(value, name) for name in ([rule] if isinstance(rule, str) else rule))

    def on_enum(self, rule, value, _at, _):
        return value in rule

    def on_const(self, rule, value, _at, _):
        return value == rule

    def on_properties(self, rule, value, at, _):
        if isinstance(value, dict):
            for name in rule.keys() & value.keys():
                self.check(rule[name], value[name], f"{at}/{name}")

    def on_required(self, rule, value, _at, _):
        return not isinstance(value, dict) or all(name in value for name in rule)

    def on_additionalProperties(self, rule, value, at, schema):
        if isinstance(value, dict):
            for name in value.keys() - schema.get("properties", {}).keys():
                self.check(rule, value[name], f"{at}/{name}")

    def on_items(self, rule, value, at, _):
        if isinstance(value, list):
            for i, item in enumerate(value):
                self.check(rule, item, f"{at}/{i}")

    def on_anyOf(self, rule, value, _at, _):
        return any(self.holds(option, value) for option in rule)

    def on_oneOf(self, rule, value, _at, _):
        return sum(self.holds(option, value) for option in rule) == 1

    def on_minimum(self, rule, value, _at, _):
        return not self.is_type(value, "number") or value >= rule

    def on_maximum(self, rule, value, _at, _):
        return not self.is_type(value, "number") or value <= rule

    def on_minLength(self, rule, value, _at, _):
        return not isinstance(value, str) or len(value) >= rule

    def on_maxLength(self, rule, value, _at, _):
        return not isinstance(value, str) or len(value) <= rule

    def on_pattern(self, rule, value, _at, _):
        return not isinstance(value, str) or re.search(rule, value) is not None


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        checker = Checker(json.load(f))
    with open(sys.argv[2], encoding="utf-8") as f:
        checker.check(checker.root, json.load(f), "")
    for error in checker.errors:
        print(error)
    sys.exit(1 if checker.errors else 0)


if __name__ == "__main__":
    main()
