#!/bin/sh
# Longer than the test timeout that the end-to-end test sets.
sleep 30
