DROP TABLE audit;
DROP TABLE credential;
