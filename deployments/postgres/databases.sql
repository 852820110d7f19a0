-- One database and one role each. PostgreSQL's image runs this once, over an empty volume.
\set ON_ERROR_STOP on
\getenv prefect_password PREFECT_DATABASE_PASSWORD
\getenv mlflow_password MLFLOW_DATABASE_PASSWORD
\getenv evergreen_password EVERGREEN_DATABASE_PASSWORD

CREATE ROLE prefect LOGIN PASSWORD :'prefect_password';
CREATE ROLE mlflow LOGIN PASSWORD :'mlflow_password';
CREATE ROLE evergreen LOGIN PASSWORD :'evergreen_password';

CREATE DATABASE prefect OWNER prefect;
CREATE DATABASE mlflow OWNER mlflow;
CREATE DATABASE evergreen OWNER evergreen;

REVOKE ALL ON DATABASE prefect, mlflow, evergreen FROM PUBLIC;
