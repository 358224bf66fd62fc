# embed_openapi(TARGET): openapi.yaml, and the JSON made from it, become two arrays in TARGET (api/system/openapi.h).
#
# The converter is a C program of this repository, so the build needs no interpreter. It reads the part of YAML that
# a person needs for such a document, and fails the build with a line number at everything else.
function(embed_openapi target)
  set(tool ${PROJECT_SOURCE_DIR}/cmake/openapi_embed.c)
  set(yaml ${PROJECT_SOURCE_DIR}/openapi.yaml)
  set(made ${PROJECT_BINARY_DIR}/openapi)
  file(MAKE_DIRECTORY ${made})
  add_executable(openapi_embed ${tool})
  set_target_properties(openapi_embed PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${made})
  add_custom_command(
    OUTPUT ${made}/openapi_data.c
    BYPRODUCTS ${made}/openapi.json
    COMMAND openapi_embed ${yaml} ${made}/openapi.json ${made}/openapi_data.c
    DEPENDS openapi_embed ${yaml}
    COMMENT "Converting openapi.yaml"
    VERBATIM)
  target_sources(${target} PRIVATE ${made}/openapi_data.c)
endfunction()
