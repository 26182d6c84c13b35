#!/bin/sh
# Usage: probe.sh FILE LIMIT
# Watches a file of whole numbers, one per line. Prints the newest when it is above the limit and has not been printed yet.
# Looks every 0.1 seconds for about a minute: this loop is in the program, so that no task is made for each look.
file=$1 limit=$2 looks=600
while [ "$looks" -gt 0 ]; do
  newest=$(tail -n 1 "$file" 2>/dev/null)
  if [ "${newest:-0}" -gt "$limit" ] && [ "$newest" != "$(cat "$file.seen" 2>/dev/null)" ]; then
    echo "$newest" > "$file.seen"
    echo "measurement $newest, limit $limit"
    exit 0
  fi
  looks=$((looks - 1))
  sleep 0.1
done
