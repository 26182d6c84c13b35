#!/bin/sh
# Watches a file of measurements, one number per line, and prints the newest when it is above a limit.
# Looks every 0.1 seconds for at most 60 seconds: this loop is in the program, so that no task is made for a look.
file=$1 limit=$2 looks=600
while [ "$looks" -gt 0 ]; do
  newest=$(tail -n 1 "$file" 2>/dev/null)
  if [ "${newest:-0}" -gt "$limit" ]; then
    echo "measurement $newest, limit $limit"
    exit 0
  fi
  looks=$((looks - 1))
  sleep 0.1
done
