//! The schema of the body of `PUT /config`, generated from the table of settings. The relay parses the body key by key,
//! so that the error names each wrong key.

use sdk_relay_config::{Change, Effect, GROUPS, Kind, Setting, TABLE};
use serde_json::json;
use utoipa::openapi::schema::{AdditionalProperties, Object, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{KnownFormat, RefOr, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

/// Any part of what `GET /config` shows. `null` reverts a change.
pub(super) struct ConfigPatch;

impl ToSchema for ConfigPatch {}

impl PartialSchema for ConfigPatch {
    fn schema() -> RefOr<Schema> {
        let mut body = table("Any part of what `GET /config` shows. `null` reverts a change.");
        for (setting, change) in of("") {
            body = body.property(setting.name(), value(setting, change));
        }
        for (group, about) in GROUPS {
            let mut members = of(group).peekable();
            if members.peek().is_none() {
                continue;
            }
            let inner = members.fold(table(about), |inner, (setting, change)| {
                inner.property(setting.name(), value(setting, change))
            });
            body = body.property(*group, inner);
        }
        body.examples([json!({"sync": {"interval": 60, "health_interval": 120}, "dev_mode": true})])
            .into()
    }
}

fn of(group: &str) -> impl Iterator<Item = (&'static Setting, &'static Change)> {
    let members = TABLE.iter().filter(move |setting| setting.group() == group);
    members.filter_map(|setting| Some((*setting, setting.change.as_ref()?)))
}

/// An object with these keys and no others.
fn table(about: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(about))
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
}

fn value(setting: &Setting, change: &Change) -> Object {
    let effect = match change.effect {
        Effect::AtOnce => "Takes effect immediately.",
        Effect::AtRestart => "Takes effect after a restart.",
    };
    let about = format!("{} {effect}", setting.description());
    let schema = ObjectBuilder::new().description(Some(about));
    let or_null = |of| SchemaType::Array(vec![of, Type::Null]);
    match setting.kind {
        Kind::Bool { .. } => schema.schema_type(or_null(Type::Boolean)),
        Kind::Whole { least, most, .. } => schema
            .schema_type(or_null(Type::Integer))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::UInt64)))
            .minimum(Some(least))
            .maximum(Some(most)),
        Kind::Choice { of, .. } => {
            let words = of.iter().map(|word| json!(word)).chain([json!(null)]);
            schema.schema_type(or_null(Type::String)).enum_values(Some(words))
        }
        Kind::Text { .. } => {
            let schema = schema.schema_type(or_null(Type::String));
            match change.pattern {
                Some((pattern, example)) => schema.pattern(Some(pattern)).examples([json!(example)]),
                None => schema,
            }
        }
        Kind::List { .. } | Kind::Numbers { .. } => schema.schema_type(or_null(Type::Array)),
    }
    .build()
}
