DROP TABLE handoff;
