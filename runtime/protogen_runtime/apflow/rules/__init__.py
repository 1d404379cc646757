"""The rules of tasks: what a valid task is, how it changes, what waits for what.

Pure: no clock, no chance, no input or output. `now` (RFC 3339 in UTC, microseconds, `Z`) and new ids are arguments;
tasks are frozen values, and each rule returns new ones. A stored task has every one of the 29 fields set.
"""
