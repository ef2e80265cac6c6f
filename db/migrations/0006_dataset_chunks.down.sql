-- Undoes 0006_dataset_chunks. Datasets that exist only as chunks become rows again.

DROP TRIGGER dataset_chunk_added ON katas.dataset_chunk;
DROP TRIGGER dataset_chunk_deleted ON katas.dataset_chunk;
DROP TRIGGER dataset_row_added ON katas.dataset_row;

DELETE FROM katas.dataset_row WHERE dataset = 0;

INSERT INTO katas.dataset_row (dataset, position, size, fields)
SELECT dataset, first_row - 1 + place, octet_length(fields::text), fields
FROM katas.dataset_chunk AS chunk
CROSS JOIN LATERAL katas.dataset_chunk_rows(csv)
WHERE NOT EXISTS (SELECT FROM katas.dataset_row AS row
                  WHERE row.dataset = chunk.dataset AND row.position = chunk.first_row);

DROP FUNCTION katas.dataset_chunk_deleted();
DROP FUNCTION katas.dataset_chunk_added();
DROP FUNCTION katas.dataset_row_added();
DROP FUNCTION katas.convert_dataset_rows(bigint);
DROP FUNCTION katas.dataset_chunk_rows(text);
DROP FUNCTION katas.dataset_row_csv(text[]);
DROP TABLE katas.dataset_chunk;
