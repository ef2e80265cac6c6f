package katas;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.File;
import java.io.IOException;
import java.util.List;
import java.util.Map;

/** The load scenario, as defined in {@code journey.json}; bench/README.md describes the fields. */
record Journey(double pauseSeconds, List<Step> steps, List<Step> cleanup) {
    static final JsonMapper JSON =
            JsonMapper.builder().propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE).build();

    /** A request, and the response that it requires. Omitted fields are null, {@code permanent} is false. */
    record Step(
            String name,
            String method,
            String path,
            Map<String, String> headers,
            JsonNode json,
            String text,
            List<Integer> statuses,
            Map<String, JsonNode> expect,
            Map<String, String> save,
            boolean permanent) {
        Step {
            headers = headers == null ? Map.of() : headers;
            expect = expect == null ? Map.of() : expect;
            save = save == null ? Map.of() : save;
        }
    }

    /** Reads a file; an unknown field is an error. */
    static Journey read(File file) {
        try {
            return JSON.readValue(file, Journey.class);
        } catch (IOException error) {
            throw new IllegalStateException("cannot read " + file, error);
        }
    }
}
