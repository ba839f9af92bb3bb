#!/bin/sh
# Coverage is not collected in this example.
