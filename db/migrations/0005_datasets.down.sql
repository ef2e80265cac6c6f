-- Undoes 0005_datasets: every dataset and every run is lost.

DROP TABLE katas.dataset_run;
DROP TABLE katas.dataset_row;
DROP TABLE katas.dataset;
