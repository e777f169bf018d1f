"""Failures found by the fuzzer, each a script; tests/test_differential.py replays them all."""
