DROP TABLE plan_text;
