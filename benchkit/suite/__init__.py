"""Suites: which tasks and models are compared, written by people in YAML.

suites/x.yaml ──read_yaml──> values and their lines ──schema, cross_check──> Suite (plain records)
name ──find_suite──> path          own data ──check_data──> Findings
"""
